"""What an oracle is: every tensor of codes for given inputs, by someone else's program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from accelsim.errors import AccelsimError
from accelsim.graph import Graph
from accelsim.importers import one_line

Codes = dict[str, NDArray[Any]]
_LONGEST_REASON = 500  # characters; a runtime puts places in its own source before what it says


class Oracle(Protocol):
    """``run`` takes integer inputs by Graph name, in Graph shapes, and gives the tensors that it computed, likewise.

    What a network keeps from inference to inference the oracle keeps itself, from call to call.
    ``graph`` is the reference model under the rules that the oracle is known to follow.
    """

    @property
    def graph(self) -> Graph: ...

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Codes: ...


@runtime_checkable
class RewritingOracle(Oracle, Protocol):
    """An oracle that changes the model before it runs it: ``plain`` gives every tensor as the file says it, each from the
    ``codes`` that :meth:`run` gave before it; ``rewriting_of`` names the operators behind one tensor, ``rewriting`` all.
    ``level`` says at which level of optimization it runs and why, where that is not its highest.
    """

    @property
    def level(self) -> str: ...

    @property
    def rewriting(self) -> str: ...

    def rewriting_of(self, tensor: str) -> str: ...

    def plain(self, inputs: Mapping[str, NDArray[Any]], codes: Codes) -> Codes: ...


def package(module: str, *, oracle: str, install: str) -> Any:
    """``module``, or one AccelsimError that says how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise AccelsimError(
            f"oracle {oracle!r} needs the package {install!r}, which is not installed ({error}); "
            f"pip install 'accelsim[oracles]' or choose --oracle fake-quant",
            oracle=oracle,
            package=install,
        ) from error


@contextmanager
def runtime_call(oracle: str) -> Iterator[None]:
    """Whatever a runtime raises in here, each its own kinds, as one AccelsimError with its own reason."""
    try:
        yield
    except Exception as error:
        reason = one_line(error, longest=_LONGEST_REASON)
        raise AccelsimError(
            f"oracle {oracle!r} refuses the model: {reason}; choose another --oracle, fake-quant reads every model",
            oracle=oracle,
            reason=reason,
        ) from error


def needs_suffix(path: str, suffix: str, *, oracle: str) -> None:
    """AccelsimError unless the model file is of the kind that the oracle reads."""
    if not path.lower().endswith(suffix):
        raise AccelsimError(
            f"oracle {oracle!r} reads {suffix} files, not {path}; choose another --oracle, fake-quant reads every model",
            oracle=oracle,
        )


def graph_codes(graph: Graph, theirs: Mapping[str, NDArray[Any]]) -> Codes:
    """The tensors of ``theirs`` that are codes of the Graph, in its order of axes, format and shape."""
    found = {}
    for name, values in theirs.items():
        tensor = graph.tensors.get(name)
        if tensor is not None and values.dtype.kind in "iu" and values.size == tensor.elements:
            found[name] = tensor.from_host(values).reshape(tensor.shape).astype(tensor.format.dtype)
    return found
