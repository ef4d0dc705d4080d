"""Random machines and networks, exported as RTL, linted, built and played under Verilator: codes and cycles that differ.

    python benchmarks/rtl.py [--machines 100] [--first 0] [--jobs 1] [--keep DIR]

One line a machine. Exit status 1 where anything differs; the exports of those are kept in DIR.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from accelsim.arch import Arch
from tests.rtl.machines import drawn_plan, play, write_plan

BATCH = 8
"""Seeds handed out at once, of which a few give a machine."""
RUNTIME = "libverilated.a"
"""Verilator's own objects, compiled once."""


class Outcome(NamedTuple):
    """The machine of ``seed`` in words, what the bench said of it, and whether it passed."""

    seed: int
    machine: str
    said: str
    passed: bool

    def __str__(self) -> str:
        return f"{self.seed}: {self.machine}: {self.said}"


def described(arch: Arch, units: Sequence[str]) -> str:
    """What is of interest in the core of ``arch``."""
    array, sums = arch.array, arch.accumulator
    names = "+".join(units) + (" as sums come" if arch.requantizer.streaming else "")
    return (
        f"{array.dataflow} {array.rows}x{array.cols}, preload {array.weight_preload}, drain {array.drain}, "
        f"{array.pipeline_stages} stages, {sums.bits} bits {sums.overflow}, {names}"
    )


def played(seed: int, keep: Path) -> Outcome | None:
    """None where ``seed`` gives no machine that has RTL."""
    plan, folder = drawn_plan(seed), keep / str(seed)
    if plan is None:
        return None
    write_plan(plan, folder)
    try:
        said, passed = play(folder, keep / RUNTIME), True
    except AssertionError as error:
        said, passed = str(error), False
    if passed:
        shutil.rmtree(folder)
    return Outcome(seed, described(plan.design.arch, plan.design.unit_names), said, passed)


def outcomes(first: int, jobs: int, keep: Path) -> Iterator[Outcome]:
    """Of the seeds from ``first`` on that give a machine, without an end."""
    with ProcessPoolExecutor(jobs) as pool:
        for begin in count(first, BATCH):
            yield from filter(None, pool.map(played, range(begin, begin + BATCH), [keep] * BATCH))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "accelsim_rtl")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    (given.keep / RUNTIME).unlink(missing_ok=True)
    begun, outcome = time.perf_counter(), Counter[bool]()
    with closing(outcomes(given.first, given.jobs, given.keep)) as found:
        for one in islice(found, given.machines):
            outcome[one.passed] += 1
            print(one, flush=True)
    print(
        f"{outcome[True]} of {sum(outcome.values())} machines without a difference, {time.perf_counter() - begun:.0f} s"
    )
    return int(outcome[False] > 0)


if __name__ == "__main__":
    sys.exit(main())
