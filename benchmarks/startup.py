"""How long ``import accelsim`` and the first and second start of the command line take, in all and on the processor.

python benchmarks/startup.py
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time


def wall(*command: str, **environment: str) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
    return time.perf_counter() - begin


def cpu(*command: str, **environment: str) -> float:
    """CPU seconds of a process, which say more than the clock on a machine that others use too."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall(*command, **environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    python = sys.executable
    bare = statistics.median(wall(python, "-c", "pass") for _ in range(7))
    imported = statistics.median(wall(python, "-c", "import accelsim") for _ in range(7))
    print(f"import accelsim           {(imported - bare) * 1e3:8.0f} ms above a bare interpreter ({bare * 1e3:.0f} ms)")
    command = (python, "-m", "accelsim", "run", "digits_cnn", "--arch", "edge_16x16")
    with tempfile.TemporaryDirectory() as cache:
        print(f"accelsim run, no cache    {cpu(*command, NUMBA_CACHE_DIR=cache):8.2f} CPU-s")
        warm = statistics.median(cpu(*command, NUMBA_CACHE_DIR=cache) for _ in range(5))
        print(f"accelsim run, warm        {warm:8.2f} CPU-s")


if __name__ == "__main__":
    main()
