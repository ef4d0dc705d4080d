"""Python in a process of its own, whose memory is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_MEASURE = """
import resource, sys

def peak():  # ru_maxrss would begin with that of the process that started this one
    return 1024 * int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])

def limit(more):
    "From here on at most ``more`` bytes of address space beyond what there is."
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)
"""


def printed(code: str, *arguments: str | Path, **environment: str) -> str:
    """What ``code`` prints, which has ``peak()`` (bytes resident at most so far) and ``limit(more)``; it must succeed."""
    result = subprocess.run(
        [sys.executable, "-c", _MEASURE + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parent.parent,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
