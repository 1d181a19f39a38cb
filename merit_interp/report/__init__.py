"""One self-contained HTML page of a run.

from merit_interp.report.run_report import write_report

This room reads records and draws what tables and plots make of them; it must not know models, and
loads no torch.
"""
