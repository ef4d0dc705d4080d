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
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.rtl.machines import drawn_plan, play, write_plan


def described(seed: int) -> str | None:
    """The machine of ``seed`` in words; None where there is none."""
    plan = drawn_plan(seed)
    if plan is None:
        return None
    arch = plan.design.arch
    array, sums = arch.array, arch.accumulator
    units = "+".join(plan.design.unit_names) + (" as sums come" if arch.requantizer.streaming else "")
    return (
        f"{array.dataflow} {array.rows}x{array.cols}, preload {array.weight_preload}, drain {array.drain}, "
        f"{array.pipeline_stages} stages, {sums.bits} bits {sums.overflow}, {units}"
    )


def played(seed: int, keep: Path) -> tuple[int, str, bool]:
    """What the bench said of the machine of ``seed``, and whether it passed."""
    plan, folder = drawn_plan(seed), keep / str(seed)
    assert plan is not None
    write_plan(plan, folder)
    try:
        said, passed = play(folder), True
    except AssertionError as error:
        said, passed = str(error), False
    if passed:
        shutil.rmtree(folder)
    return seed, said, passed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "accelsim_rtl")
    given = parser.parse_args()
    begun, outcome = time.perf_counter(), Counter[bool]()
    words = ((seed, described(seed)) for seed in count(given.first))
    chosen = dict(islice(((seed, said) for seed, said in words if said is not None), given.machines))
    with ProcessPoolExecutor(given.jobs) as pool:
        for seed, said, passed in pool.map(played, chosen, [given.keep] * len(chosen)):
            outcome[passed] += 1
            print(f"{seed}: {chosen[seed]}: {said}", flush=True)
    print(
        f"{outcome[True]} of {sum(outcome.values())} machines without a difference, {time.perf_counter() - begun:.0f} s"
    )
    return int(outcome[False] > 0)


if __name__ == "__main__":
    sys.exit(main())
