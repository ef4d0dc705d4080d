"""Points per second of ``accelsim.sweep``: through ``evaluate`` alone, in one process, a pool of two, and Dask; memory; kills.

python benchmarks/sweep.py                                 # rates beside evaluate, and what each way adds
python benchmarks/sweep.py --points 1000000                # so many points in one sitting: seconds, and how memory grows
python benchmarks/sweep.py --points 100000 --kills 20      # killed at random moments, main process and workers; exit code 1 where
                                                           # the table differs from that of a sweep that was left alone
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import accelsim
from accelsim.explore import ProcessPool, read_space
from accelsim.explore.sweep.space import points_of
from accelsim.explore.sweep.work import Task, compute

SIDES = (4, 6, 8, 12, 16, 24, 32, 48)
WIDTHS = (2, 4, 6, 8)


def space_of(model: str, points: int) -> dict[str, Any]:
    """A grid of about so many points: arrays, widths and bandwidths."""
    bandwidths = max(2, round(points / (len(SIDES) ** 2 * len(WIDTHS))))
    return {
        "workloads": [model],
        "axes": {
            "array.rows": SIDES,
            "array.cols": SIDES,
            "weights.bits": WIDTHS,
            "dram.bandwidth_bytes_per_s": {"from": 10**8, "to": 10**10, "steps": bandwidths},
        },
        "constraints": ["area_um2 < 2e6"],
    }


@contextmanager
def dask() -> Iterator[Executor]:
    """Two workers of one thread."""
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client.get_executor()


WAYS = {"one process": nullcontext, "pool of two": lambda: ProcessPool(2), "Dask, two workers": dask}


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(
        time_of.ru_utime + time_of.ru_stime
        for time_of in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def rates(model: str, points: int, folder: Path) -> None:
    """Points per second, each way, of workers that have begun; all tables the same."""
    space = space_of(model, points)
    known = read_space(space)
    edits = [
        dict(zip(space["axes"], values, strict=True)) for values in zip(*points_of(known, 0, points).edits, strict=True)
    ]
    accelsim.evaluate(model, arch="edge_16x16", edits=edits[:64])
    begin, spent = time.perf_counter(), cpu_seconds()
    accelsim.evaluate(model, arch="edge_16x16", edits=edits)
    alone, least = len(edits) / (time.perf_counter() - begin), cpu_seconds() - spent
    print(f"{model}, {known.points:,} points: evaluate {alone:,.0f} points/s, {least:.1f} CPU seconds")
    for name, way in WAYS.items():
        spent = cpu_seconds()
        with way() as executor:
            if executor is not None:
                for begun in [executor.submit(compute, Task(known, k, k + 16)) for k in range(4)]:
                    begun.result()
            begin = time.perf_counter()
            accelsim.sweep(space, out=folder / name, executor=executor)
            rate = known.points / (time.perf_counter() - begin)
        spent = cpu_seconds() - spent
        print(
            f"  {name}: {rate:,.0f} points/s, {rate / alone:.2f} x evaluate; {spent:.1f} CPU seconds, {spent / least:.2f} x",
            flush=True,
        )
    same(*(folder / name for name in WAYS))


def same(first: Path, *others: Path) -> bool:
    """Whether all folders hold the same files of rows, byte by byte."""

    def files(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.glob("run-1/chunk-*")}

    equal = all(files(first) == files(other) for other in others)
    print(f"  the tables {'are' if equal else 'ARE NOT'} the same byte by byte")
    return equal


def many(model: str, points: int, jobs: int, folder: Path) -> None:
    """One long sweep: seconds, and peak memory after each tenth."""
    known, peaks = read_space(space_of(model, points)), dict[int, float]()

    def progress(_: str, done: int, total: int) -> None:
        peaks.setdefault(10 * done // total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    begin = time.perf_counter()
    with ProcessPool(jobs) if jobs > 1 else nullcontext() as executor:
        done = accelsim.sweep(known, out=folder / "many", executor=executor, progress=progress)
    seconds = time.perf_counter() - begin
    print(f"{model}, {done.points:,} points, {jobs} processes: {seconds:,.0f} s, {done.points / seconds:,.0f} points/s")
    size = sum(path.stat().st_size for path in (folder / "many").rglob("*")) / 2**20
    print(
        f"  peak of this process, MiB, after each tenth: {', '.join(f'{peak:.0f}' for peak in peaks.values())}; files {size:,.0f} MiB"
    )
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  peak of the largest worker: {workers:,.0f} MiB")


def kills(model: str, points: int, count: int, folder: Path) -> bool:
    """Whether a sweep that was killed ``count`` times ends in the table of one that was not."""
    space = folder / "space.yaml"
    space.write_text(json.dumps(space_of(model, points)), encoding="utf-8")
    with ProcessPool(2) as executor:
        done = accelsim.sweep(space, out=folder / "alone", executor=executor)
    chunks = len(list((folder / "alone").glob("run-1/chunk-*")))
    print(f"{model}, {done.points:,} points in {chunks} chunks", flush=True)
    command = [sys.executable, "-m", "accelsim", "sweep", str(space), "--out", str(folder / "killed"), "--jobs", "2"]
    aims, killed = sorted(random.uniform(0, 0.97) * chunks for _ in range(count)), 0
    while True:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        killed += _kill_at(process, aims, folder / "killed", killed)
        _, messages = process.communicate()
        if process.returncode == 0:
            break
        if process.returncode > 0:
            print(f"  exit code {process.returncode}: {messages.strip().splitlines()[-1]}")
    print(f"  killed {killed} times")
    return same(folder / "alone", folder / "killed")


def _kill_at(process: subprocess.Popen[str], aims: list[float], out: Path, before: int) -> int:
    """Kill ``process`` when so many chunks are there, or a worker of it, in turn; how many were killed."""
    killed = 0
    while aims and process.poll() is None:
        time.sleep(random.uniform(0, 0.1))
        if len(list(out.glob("run-1/chunk-*"))) < aims[0]:
            continue
        aims.pop(0)
        workers = [int(x) for x in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        killed += 1
        if workers and (before + killed) % 2:
            os.kill(random.choice(workers), signal.SIGKILL)
            continue
        process.kill()
        break
    return killed


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits_cnn")
    parser.add_argument("--points", type=int)
    parser.add_argument("--kills", type=int, metavar="N")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    random.seed(chosen.seed)
    folder = Path(tempfile.mkdtemp(prefix="sweep"))
    try:
        if chosen.kills:
            sys.exit(0 if kills(chosen.model, chosen.points or 100_000, chosen.kills, folder) else 1)
        if chosen.points:
            many(chosen.model, chosen.points, chosen.jobs, folder)
        else:
            rates(chosen.model, 16_384, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
