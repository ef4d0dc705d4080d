"""Killed at any moment, a sweep goes on where it stood, and its table is that of one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import accelsim
from tests.explore.sweep.spaces import SMALL, same_tables, written

SPACE = SMALL | {"axes": SMALL["axes"] | {"array.rows": [4, 6, 8, 10, 12, 16], "batch": [1, 2, 3]}}
"""864 points, in chunks of 16."""
KILLS = 4


def finished(folder: Path) -> int:
    return len(list(folder.glob("run-1/chunk-*")))


def children(pid: int) -> list[int]:
    """Processes that ``pid`` started (Linux)."""
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="how a system shows processes is Linux's here")
@pytest.mark.parametrize("jobs", [1, 2])
def test_kill_9_at_random_moments_loses_nothing(tmp_path: Path, jobs: int) -> None:
    random.seed(jobs)
    alone, out, space = tmp_path / "alone", tmp_path / "out", written(tmp_path, SPACE)
    accelsim.sweep(SPACE, out=alone)
    command = [sys.executable, "-m", "accelsim", "sweep", str(space), "--out", str(out), "--jobs", str(jobs)]
    left = KILLS
    while True:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        aim = finished(out) + random.randrange(1, 9)
        while process.poll() is None and (not left or finished(out) < aim):
            time.sleep(random.uniform(0.001, 0.02))
        workers = children(process.pid) if process.poll() is None else []
        if process.poll() is not None:
            break
        victim = random.choice([process.pid, *workers[:1]])
        os.kill(victim, signal.SIGKILL)
        left -= 1
        if victim == process.pid:
            process.wait()
            ended(workers)
        else:
            process.wait(timeout=120)
        process.communicate()
    assert process.returncode == 0, process.stderr
    assert left < KILLS
    assert "864 points" in process.communicate()[0]
    same_tables(alone, out)
    assert [path.read_bytes() for path in sorted(alone.glob("run-1/chunk-*"))] == [
        path.read_bytes() for path in sorted(out.glob("run-1/chunk-*"))
    ]


def ended(workers: list[int]) -> None:
    """Wait until workers have followed the process that started them."""
    until = time.monotonic() + 30
    while any(Path(f"/proc/{worker}/exe").exists() for worker in workers):
        assert time.monotonic() < until, "workers outlive who started them"
        time.sleep(0.02)
