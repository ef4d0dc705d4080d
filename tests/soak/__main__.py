"""The soak: ``python -m tests.soak --minutes 60 [--seed N] [--jobs 2] [--keep FOLDER]``, or ``--case N`` for one case again (Linux).

``--cases N`` are the first N of a seed, the same on every machine.

Ends with the count of cases and exit code 1 where any did what no command may do; the files, the command line and the messages
of each such case are kept in FOLDER/<seed>-<number>.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.soak.cases import Case, Corpus, case_of, corpus, warm
from tests.soak.judge import Ended, faults
from tests.soak.worker import WALL_SECONDS, ended, start

EXAMPLES = 3
"""Cases that are kept of one fault."""


@dataclass
class Soak:
    """What runs, and what was found."""

    options: argparse.Namespace
    whole: Corpus
    scratch: Path
    running: dict[int, tuple[Case, float]] = field(default_factory=dict)
    codes: Counter[int] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)

    def begin(self, number: int) -> None:
        """Start one case."""
        case = case_of(self.options.seed, number, self.whole)
        memory = int(self.options.gib * (1 << 30))
        self.running[start(case, self.scratch / str(number), memory)] = (case, time.monotonic())

    def finish(self) -> None:
        """Take what ended; end what has waited too long."""
        for process, (case, since) in list(self.running.items()):
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                del self.running[process]
                self._judge(case, ended(status, self.scratch / str(case.number)))
            elif time.monotonic() - since > WALL_SECONDS:
                os.kill(process, signal.SIGKILL)

    def _judge(self, case: Case, how: Ended) -> None:
        folder = self.scratch / str(case.number)
        self.codes[how.code] += 1
        wrong = faults(case, how, folder / "files")
        if self.options.case is not None:
            print(f"{shlex.join(case.arguments)}\nexit code {how.code}\n{how.stderr}")
        for fault in wrong:
            self.found[fault] += 1
            if self.found[fault] <= EXAMPLES:
                self._keep(case, fault, folder)
        shutil.rmtree(folder)

    def _keep(self, case: Case, fault: str, folder: Path) -> None:
        kept = self.options.keep / f"{self.options.seed}-{case.number}"
        print(f"{kept}: {fault}: accelsim {shlex.join(case.arguments)}", flush=True)
        if kept.exists():
            return
        shutil.copytree(folder, kept)
        for name, data in case.files.items():
            (kept / "files" / name).write_bytes(data)
        (kept / "command.txt").write_text(f"# {fault}\naccelsim {shlex.join(case.arguments)}\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--cases", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument(
        "--gib", type=float, default=1.5, help="address space a command may take beyond what is imported"
    )
    parser.add_argument("--keep", type=Path, default=Path("soak"))
    parser.add_argument("--case", type=int)
    options = parser.parse_args()
    options.keep = options.keep.resolve()
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        soak = Soak(options, corpus(), Path(scratch))
        warm(soak.whole)
        gc.freeze()  # what is imported stays shared between the processes
        _run(soak)
    cases = soak.codes.total()
    print(
        f"{cases} cases, exit codes {dict(sorted(soak.codes.items()))}: {len(soak.found)} kinds of fault, {soak.found.total()} cases"
    )
    for fault, number in soak.found.most_common():
        print(f"{number:6} {fault}")
    return int(bool(soak.found) or not cases)


def _run(soak: Soak) -> None:
    options = soak.options
    numbers = iter(range(options.cases)) if options.cases else count()
    if options.case is not None:
        numbers = iter([options.case])
    minutes = options.minutes or (math.inf if options.cases else 1)
    end = time.monotonic() + 60 * minutes
    left = True
    while left or soak.running:
        left = left and time.monotonic() < end
        while left and len(soak.running) < options.jobs:
            number = next(numbers, None)
            left = number is not None
            if number is not None:
                soak.begin(number)
        soak.finish()
        time.sleep(0.002)


if __name__ == "__main__":
    sys.exit(main())
