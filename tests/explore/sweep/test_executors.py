"""Whoever computes the chunks, the table is the same to the last bit; workers may die."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import accelsim
from accelsim.errors import SweepError
from accelsim.explore import ProcessPool
from accelsim.explore.sweep.run import workers_of
from tests.explore.sweep.spaces import SMALL, same_tables, written


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep in this process."""
    folder = tmp_path_factory.mktemp("here")
    accelsim.sweep(SMALL, out=folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("run-1/chunk-*")}


@pytest.mark.parametrize("kind", ["spawn", "fork", "threads", "own"])
def test_pools(here: Path, tmp_path: Path, kind: str) -> None:
    def pool() -> Executor:
        if kind == "own":
            return ProcessPool(2)
        if kind == "threads":
            return ThreadPoolExecutor(1)
        return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(kind))

    with pool() as executor:
        assert workers_of(executor) == (1 if kind == "threads" else 2)
        accelsim.sweep(SMALL, out=tmp_path, executor=executor)
    assert files(tmp_path) == files(here)
    same_tables(here, tmp_path)


def killing(rounds: int) -> Any:
    """Progress that kills a worker at each of the first chunks."""
    left = list(range(rounds))

    def progress(_: str, done: int, __: int) -> None:
        if done and left:
            left.pop()
            multiprocessing.active_children()[0].kill()

    return progress


def test_a_worker_of_ours_that_dies_is_replaced(here: Path, tmp_path: Path) -> None:
    with ProcessPool(2) as executor:
        done = accelsim.sweep(SMALL, out=tmp_path, executor=executor, progress=killing(1))
    assert done.points == 144
    same_tables(here, tmp_path)


def test_a_pool_of_the_callers_that_breaks_is_told_and_gone_on_from(here: Path, tmp_path: Path) -> None:
    with (
        ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor,
        pytest.raises(SweepError, match="a worker died while points .* the same command goes on"),
    ):
        accelsim.sweep(SMALL, out=tmp_path, executor=executor, progress=killing(1))
    kept = accelsim.sweep(SMALL, out=tmp_path).found
    assert kept >= 16
    same_tables(here, tmp_path)


class Dying(ProcessPool):
    """Workers that die of whatever they are given."""

    renewed = 0

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        future = Future[Any]()
        future.set_exception(BrokenExecutor("died"))
        return future

    def renew(self) -> None:
        self.renewed += 1


def test_a_chunk_that_kills_its_worker_twice_is_named(tmp_path: Path) -> None:
    with Dying(1) as executor, pytest.raises(SweepError, match="a worker died twice while points (0 to 15|16 to 31) "):
        accelsim.sweep(SMALL, out=tmp_path, executor=executor)
    assert executor.renewed == 1


class Failing(Executor):
    """An engine with errors of its own."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        future = Future[Any]()
        future.set_exception(RuntimeError("the scheduler\nis gone"))
        return future


def test_an_executor_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        SweepError, match="failed in the executor: RuntimeError: the scheduler; finished chunks are kept"
    ):
        accelsim.sweep(SMALL, out=tmp_path, executor=Failing())
    assert workers_of(Failing()) > 1


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as made,
        distributed.Client(made) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore")
def test_dask(here: Path, tmp_path: Path, cluster: Any) -> None:
    executor = cluster.get_executor()
    assert workers_of(executor) == 2
    accelsim.sweep(SMALL, out=tmp_path, executor=executor)
    assert files(tmp_path) == files(here)


@pytest.mark.filterwarnings("ignore")
def test_dask_goes_on_without_a_worker_that_is_killed(here: Path, tmp_path: Path, cluster: Any) -> None:
    alive = list(cluster.run(os.getpid).values())

    def progress(_: str, done: int, __: int) -> None:
        if done and alive:
            os.kill(alive.pop(), signal.SIGKILL)
            alive.clear()

    accelsim.sweep(SMALL, out=tmp_path, executor=cluster.get_executor(), progress=progress)
    assert files(tmp_path) == files(here)


MPI = """
import sys
import accelsim
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        print(accelsim.sweep(sys.argv[1], out=sys.argv[2], executor=executor).points)
"""


def test_mpi(here: Path, tmp_path: Path) -> None:
    mpiexec = shutil.which("mpiexec")
    if (
        not mpiexec
        or subprocess.run([sys.executable, "-c", "import mpi4py.MPI"], capture_output=True, check=False).returncode
    ):
        pytest.skip("MPI and mpi4py are not installed")
    script = tmp_path / "mpi.py"
    script.write_text(MPI, encoding="utf-8")
    allowed = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
    }
    command = [
        mpiexec,
        "-n",
        "3",
        sys.executable,
        "-m",
        "mpi4py.futures",
        script,
        written(tmp_path, SMALL),
        tmp_path / "out",
    ]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, check=False, env=os.environ | allowed
    )
    assert (done.returncode, done.stdout.strip()) == (0, "144"), done.stderr
    assert files(tmp_path / "out") == files(here)
