"""Runs a command and prints its seconds (on the clock, of a CPU), peak bytes and exit code.

    python measured.py COMMAND ARGUMENT...

A process of its own, since the peak that Linux gives for a child begins at what its parent held
when it was started: this one holds next to nothing.
"""

import json
import resource
import subprocess
import sys
import time

started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False)
seconds = time.perf_counter() - started
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = usage.ru_maxrss * 1024
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "code": done.returncode}))
