"""Inputs in, integers out: which reader computes them, what was proved, and the accuracy where labels are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError, InputError
from accelsim.execute.host_inputs import Arrays, gather_inputs
from accelsim.execute.proof import accumulator_formats, prove_graph
from accelsim.execute.tiled import run_program
from accelsim.execute.whole import WholeReader
from accelsim.graph import Graph
from accelsim.labels import check_labels
from accelsim.quant import dequantize
from accelsim.result import ValueSummary
from accelsim.timing import Timeline


@dataclass(frozen=True, eq=False)
class Values:
    """Tensors by name, inferences along the leading axis, and how they were made."""

    tensors: dict[str, NDArray[Any]]
    summary: ValueSummary


def compute_values(
    timeline: Timeline,
    inputs: Arrays | NDArray[Any],
    *,
    labels: NDArray[Any] | None,
    keep: Literal["outputs", "all"],
    check_inputs: int | None,
    progress: Callable[[str, int, int], None] | None,
) -> Values:
    """The bits of every inference.

    Whole-layer kernels compute them where no accumulator can leave its range or overflow wraps; otherwise the order of sums
    matters and every inference runs through the Program.
    """
    program, graph = timeline.program, timeline.program.graph
    batches = gather_inputs(graph, inputs)
    count = len(next(iter(batches.values())))
    _check_labels(graph, labels, count)
    proofs = prove_graph(graph, program.arch)
    proved = all(proof.safe for proof in proofs)
    order_free = proved or program.arch.accumulator.overflow == "wrap"
    tiled = count if not order_free or check_inputs is None else min(count, check_inputs)
    formats = accumulator_formats(graph, program.arch)
    whole = WholeReader(graph, accumulators=formats, inferences=count) if order_free else None
    runs = []
    for i in range(count):
        one = {name: batch[i] for name, batch in batches.items()}
        made = _one_inference(timeline, whole, one, through_program=i < tiled, keep=keep)
        runs.append({name: graph.tensors[name].to_host(values) for name, values in made.items()})
        if progress is not None:
            progress("inferences", i + 1, count)
    tensors = {name: _stack([r[name] for r in runs], graph.tensors[name].host_shape) for name in runs[0]}
    correct = _correct(graph, tensors, labels, count)
    summary = ValueSummary(
        inputs=count,
        reader="layers" if order_free else "program",
        program_checked=tiled,
        accumulators_proved=proved,
        accuracy=None if correct is None else correct / count,
        correct=correct,
    )
    return Values(tensors | _real_ports(graph, tensors), summary)


def _one_inference(
    timeline: Timeline,
    whole: WholeReader | None,
    inputs: Arrays,
    *,
    through_program: bool,
    keep: Literal["outputs", "all"],
) -> dict[str, NDArray[Any]]:
    graph = timeline.program.graph
    tiled = run_program(timeline.program, inputs, timeline=timeline) if through_program else None
    if whole is None:
        assert tiled is not None
        return tiled if keep == "all" else {p.tensor: tiled[p.tensor] for p in graph.outputs}
    values = whole.run(inputs, keep="all" if through_program else keep)
    if tiled is not None:
        _must_agree(values, tiled)
    return values if keep == "all" else {p.tensor: values[p.tensor] for p in graph.outputs}


def _must_agree(values: Arrays, tiled: Arrays) -> None:
    for name, expected in tiled.items():
        different = int((values[name] != expected).sum())
        if different:
            raise AccelsimError(
                f"tensor {name!r}: {different} of {expected.size} elements differ between the Program and the whole-layer kernels; "
                "this is a fault of accelsim, please report it with the model",
                tensor=name,
            )


def _stack(values: list[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    """Inferences along the leading axis: the tensor's own where it is 1, a new one otherwise (none for a single inference)."""
    if len(values) == 1:
        return values[0]
    return np.concatenate(values) if shape[:1] == (1,) else np.stack(values)


def _correct(graph: Graph, tensors: Arrays, labels: NDArray[Any] | None, count: int) -> int | None:
    """Inferences whose largest output is at the label."""
    if labels is None:
        return None
    scores = tensors[graph.outputs[0].tensor].reshape(count, -1)
    return int((scores.argmax(axis=1) == np.asarray(labels)).sum())


def _check_labels(graph: Graph, labels: NDArray[Any] | None, count: int) -> None:
    if labels is None:
        return
    if len(graph.outputs) != 1:
        raise InputError(f"labels need a network with one output, {graph.name!r} has {len(graph.outputs)}")
    check_labels(labels, count=count, outputs=graph.tensors[graph.outputs[0].tensor].elements)


def _real_ports(graph: Graph, tensors: Arrays) -> dict[str, NDArray[Any]]:
    """Float tensors that the host sees, under the names they have in the model file."""
    real = {}
    for port in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors[port.tensor]
        if port.real and port.tensor in tensors and tensor.scale is not None:
            real[port.host_name] = dequantize(tensors[port.tensor], scale=tensor.scale, zero_point=tensor.zero_point)
    return real
