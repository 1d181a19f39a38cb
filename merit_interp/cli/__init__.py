"""The command line: one file a verb, each parses, calls and prints."""

import os

# threads that wait for work sleep instead of spinning: beside any other process, spinning made a
# sweep over a small model 5 to 15 times slower. Read when torch is loaded, so set before that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
