"""One case in a process, a folder and limits of its own. The process is forked from one that has imported and compiled all."""

from __future__ import annotations

import os
import resource
import sys
import time
import traceback
from pathlib import Path

from accelsim.cli import main
from tests.soak.cases import Case
from tests.soak.judge import Ended

CPU_SECONDS = 30
WALL_SECONDS = 120
"""For what waits rather than computes; a busy machine makes a wall clock no measure of a computation."""
STDERR = "stderr.txt"


def start(case: Case, folder: Path, memory_bytes: int) -> int:
    """Write the files of ``case`` into the new ``folder`` and run its command there; the process's id."""
    files = folder / "files"
    files.mkdir(parents=True)
    for name, data in case.files.items():
        (files / name).write_bytes(data)
    process = os.fork()
    if process == 0:
        _child(case, folder, memory_bytes)
    return process


def ended(status: int, folder: Path) -> Ended:
    """What :func:`os.waitpid` said, and what the command said."""
    return Ended(os.waitstatus_to_exitcode(status), (folder / STDERR).read_text(encoding="utf-8", errors="replace"))


def _child(case: Case, folder: Path, memory_bytes: int) -> None:
    code = 70
    try:
        for number, name in ((1, "stdout.txt"), (2, STDERR)):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.chdir(folder / "files")
        used = int(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + CPU_SECONDS, used + CPU_SECONDS + 5))
        limit = _address_space() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        sys.argv = ["accelsim", *case.arguments]
        main(list(case.arguments), prog_name="accelsim")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
