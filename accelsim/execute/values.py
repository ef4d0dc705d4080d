"""Inputs in, integers out: which reader computes them, what was proved, and the accuracy where labels are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import AccelsimError, InputError
from accelsim.execute.host_inputs import Arrays, gather_inputs
from accelsim.execute.proof import accumulator_formats, order_free, prove_graph
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
    by_layers = order_free(proofs, program.arch.accumulator.overflow)
    tiled = count if not by_layers or check_inputs is None else min(count, check_inputs)
    formats = accumulator_formats(graph, program.arch)
    whole = WholeReader(graph, accumulators=formats, inferences=count) if by_layers else None
    tell = progress or (lambda name, done, of: None)
    runs = []
    for i in range(tiled):
        made = _through_program(timeline, whole, {name: batch[i] for name, batch in batches.items()}, keep)
        runs.append(made)
        tell("inferences", i + 1, count)
    if whole is not None and tiled < count:
        rest = {name: batch[tiled:] for name, batch in batches.items()}
        made = whole.run_batch(rest, keep=keep, progress=lambda done: tell("inferences", tiled + done, count))
        runs += _singly(made)
    tensors = _at_host(graph, runs)
    correct = _correct(graph, tensors, labels, count)
    summary = ValueSummary(
        inputs=count,
        reader="layers" if by_layers else "program",
        program_checked=tiled,
        accumulators_proved=all(proof.safe for proof in proofs),
        accuracy=None if correct is None else correct / count,
        correct=correct,
    )
    return Values(tensors | _real_ports(graph, tensors), summary)


def share_correct(graph: Graph, arch: Arch, inputs: Arrays | NDArray[Any], labels: NDArray[Any]) -> float:
    """The share of ``labels`` that the largest output meets on ``arch``, where values do not follow the order of sums.

    ``inputs`` and ``labels`` as of :func:`accelsim.run`; InputError where they do not fit.
    """
    batches = gather_inputs(graph, inputs)
    count = len(next(iter(batches.values())))
    _check_labels(graph, labels, count)
    whole = WholeReader(graph, accumulators=accumulator_formats(graph, arch), inferences=count)
    correct = _correct(graph, _at_host(graph, _singly(whole.run_batch(batches))), labels, count)
    return (correct or 0) / count


def _singly(batch: Arrays) -> list[dict[str, NDArray[Any]]]:
    """The tensors of each inference."""
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]


def _at_host(graph: Graph, runs: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The tensors of all inferences in the order of axes that the model file has."""
    runs = [{name: graph.tensors[name].to_host(values) for name, values in one.items()} for one in runs]
    return {name: _stack([r[name] for r in runs], graph.tensors[name].host_shape) for name in runs[0]}


def _through_program(
    timeline: Timeline, whole: WholeReader | None, inputs: Arrays, keep: Literal["outputs", "all"]
) -> dict[str, NDArray[Any]]:
    """One inference through the Program, which whole layers, where they may be asked, must agree with."""
    values = run_program(timeline.program, inputs, timeline=timeline)
    if whole is not None:
        exact = whole.run(inputs, keep="all")
        _must_agree(exact, values)
        values = exact
    return values if keep == "all" else {p.tensor: values[p.tensor] for p in timeline.program.graph.outputs}


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
