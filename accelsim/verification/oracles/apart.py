"""A runtime in a process of its own: a check in its kernels that fails ends that process, not ours.

LiteRT's reference SOFTMAX aborts on a row of 1,008 equal codes, and no handler of a signal can take that back.
The process is forked, before the runtime's first call, so that it starts in milliseconds and has all that is loaded.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from numpy.typing import NDArray

from accelsim.errors import AccelsimError
from accelsim.graph import Graph
from accelsim.verification.oracles.base import Codes, Oracle


def apart(name: str, graph: Graph, start: Callable[[], Oracle]) -> Oracle:
    """What ``start`` makes, run apart where processes are forked safely, and may be; AccelsimError as ``start`` raises it."""
    is_forked = sys.platform == "linux" and not multiprocessing.current_process().daemon
    return Apart(name, graph, start) if is_forked else start()


class Apart:
    """The oracle that ``start`` makes in a new process, which lives as long as this one."""

    def __init__(self, name: str, graph: Graph, start: Callable[[], Oracle]) -> None:
        self.graph = graph
        self._name = name
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._pipe, theirs, start), daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of our threads, none of which the new process needs
            self._process.start()
        theirs.close()
        self._answer()

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Codes:
        """Every computed tensor of one inference."""
        self._pipe.send(dict(inputs))
        codes: Codes = self._answer()
        return codes

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._ended()
        if isinstance(answer, AccelsimError):
            raise answer
        return answer

    def _ended(self) -> NoReturn:
        self._process.join()
        code = self._process.exitcode or 0
        reason = (
            f"it ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'} in a kernel of its own"
        )
        raise AccelsimError(
            f"oracle {self._name!r} does not survive the model or an input: {reason}; choose another --oracle, fake-quant reads every model",
            oracle=self._name,
            reason=reason,
        )


def _serve(ours: Connection, pipe: Connection, start: Callable[[], Oracle]) -> None:
    """Answers until the other end is gone; what goes wrong on purpose is an answer too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    ours.close()
    try:
        oracle = start()
        pipe.send(None)
        while True:
            pipe.send(oracle.run(pipe.recv()))
    except AccelsimError as error:
        pipe.send(error)
    except (EOFError, BrokenPipeError):
        return
