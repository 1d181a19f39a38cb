"""Runs a command and prints its seconds, peak memory in bytes, and exit code as JSON.

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
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak": peak, "code": done.returncode}))
