"""What a network keeps from inference to inference, by the names of its variables: as users give and get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.graph import Graph, Variable

Arrays = Mapping[str, NDArray[Any]]


def held_state(graph: Graph, state: Arrays | None) -> dict[str, NDArray[Any]]:
    """``state`` by the tensors that are read; a variable that it leaves out holds what it holds at first.

    ``state`` has codes by the variables' names, in the order of axes that the model file has. InputError where it does not fit.
    """
    known = {variable.name: variable for variable in graph.variables}
    unknown = sorted(set(state or {}) - set(known))
    if unknown:
        has = f"its variables are {list(known)}" if known else "it keeps nothing from inference to inference"
        raise InputError(f"state {unknown}: {graph.name!r} has no such variables; {has}")
    return {known[name].read: _codes(graph, known[name], np.asarray(given)) for name, given in (state or {}).items()}


def _codes(graph: Graph, variable: Variable, given: NDArray[Any]) -> NDArray[Any]:
    tensor = graph.tensors[variable.read]
    fits = given.dtype.kind in "iu" and given.shape == tensor.host_shape and tensor.format.holds(given)
    if not fits:
        raise InputError(
            f"state {variable.name!r}: expected {tensor.format} codes of shape {tensor.host_shape}, got {given.dtype} of "
            f"shape {given.shape}{'' if given.dtype.kind not in 'iu' else f', {given.min(initial=0)} to {given.max(initial=0)}'}"
        )
    return tensor.from_host(given).astype(tensor.format.dtype)


def named_state(graph: Graph, held: Arrays) -> dict[str, NDArray[Any]]:
    """What :func:`held_state` takes, of what the next inference would read."""
    return {x.name: graph.tensors[x.read].to_host(held[x.read]) for x in graph.variables}


def checked_reset(graph: Graph, every: int | None) -> int | None:
    """``every`` itself; InputError where it is no number of inferences, or nothing is kept that could be reset."""
    if every is not None and every < 1:
        raise InputError(f"reset_every: expected a number of inferences, at least 1, got {every}")
    if every is not None and not graph.variables:
        raise InputError(f"reset_every {every}: {graph.name!r} keeps nothing from inference to inference; leave it out")
    return every
