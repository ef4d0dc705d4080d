"""Codes that tests compare with a runtime, by operator: appended, a JSON line each, to the file that ACCELSIM_TALLY names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Graph, Outcome, SourceOperator

TALLY = "ACCELSIM_TALLY"


class Count(NamedTuple):
    """``compared`` codes of one operator's results of a ``type``; how many were not the runtime's, and by how much at ``most``.

    ``named``: the import names the layer, or one before it, as an approximation.
    """

    file: str
    operator: str
    type: str
    runtime: str
    compared: int
    differing: int
    most: int
    named: bool = False


def tally(graph: Graph, tensor: str, ours: NDArray[Any], theirs: NDArray[Any], *, file: str) -> None:
    """Note the codes of one ``tensor`` of ``graph``, read from a ``file`` of that suffix, beside those of the runtime of its arithmetic."""
    path = os.environ.get(TALLY)
    operator = _maker(graph, tensor) if path else None
    if path is None or operator is None or ours.dtype.kind not in "iu":
        return
    apart = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
    kind, runtime = str(graph.tensors[tensor].format), graph.arithmetic
    most = int(apart.max(initial=0))
    named = not graph.approximations.keys().isdisjoint(_behind(graph, tensor))
    count = Count(file, operator.operator, kind, runtime, apart.size, int(np.count_nonzero(apart)), most, named)
    with Path(path).open("a", encoding="utf-8") as stream:  # one write of one line: processes may share the file
        stream.write(json.dumps(count._asdict()) + "\n")


def _behind(graph: Graph, tensor: str) -> set[str]:
    """Names of the layers that ``tensor`` depends on."""
    wanted, found = {tensor}, set[str]()
    for layer in reversed(graph.layers):
        if layer.output in wanted:
            wanted.update(layer.inputs)
            found.add(layer.name)
    return found


def _maker(graph: Graph, tensor: str) -> SourceOperator | None:
    """The operator of the file whose layers make ``tensor``; None of an input."""
    made = {layer.name for layer in graph.layers if layer.output == tensor}
    found = [one for one in graph.source if one.outcome is Outcome.LAYER and made & set(one.layers)]
    return found[0] if found else None
