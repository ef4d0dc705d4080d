"""Processes of our own for a sweep, which end with the process that started them and are started anew where one dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any, ParamSpec, TypeVar

from accelsim.errors import AccelsimError, SweepError

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


KEPT = "finished chunks are kept, and the same command goes on from them"


def outcome(future: Future[Value], what: str) -> Value:
    """The result of a task, ``what`` it computes in words; SweepError where the executor failed, but BrokenExecutor where it broke."""
    try:
        return future.result()
    except (AccelsimError, BrokenExecutor):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".split("\n")[0][:300]
        raise SweepError(f"{what} failed in the executor: {reason}; {KEPT}") from error


class ProcessPool(Executor):
    """So many processes, each a fresh interpreter; :meth:`renew` starts others in their place."""

    def __init__(self, jobs: int) -> None:
        self.num_workers = jobs
        self._pool = _processes(jobs)

    def submit(
        self, fn: Callable[Parameters, Value], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Future[Value]:
        """As of any executor."""
        return self._pool.submit(fn, *args, **kwargs)

    def renew(self) -> None:
        """Start new processes, after the old ones broke."""
        self.end()
        self._pool = _processes(self.num_workers)

    def end(self) -> None:
        """End the processes at once, whatever they do."""
        running = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in running:
            with suppress(OSError, ValueError):
                process.terminate()
        self._pool.shutdown()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of any executor."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def __exit__(self, kind: Any, error: Any, where: Any) -> bool | None:
        if kind is not None:
            self.end()
        return super().__exit__(kind, error, where)


def _processes(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """In a new process: ^C is for who started it, with whom it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
