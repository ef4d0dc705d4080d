"""Inputs in, integers out: which reader computes them, what was proved, and the accuracy where labels are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError, InputError
from accelsim.execute.proof import accumulator_formats, prove_graph
from accelsim.execute.tiled import run_program
from accelsim.execute.whole import WholeReader
from accelsim.graph import Graph, HostPort
from accelsim.labels import check_labels
from accelsim.quant import dequantize, quantize
from accelsim.result import ValueSummary
from accelsim.timing import Timeline

Arrays = Mapping[str, NDArray[Any]]


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


def gather_inputs(graph: Graph, inputs: Arrays | NDArray[Any]) -> dict[str, NDArray[Any]]:
    """One array per network input, shape (inferences, *tensor shape), as integer codes; InputError names what does not fit."""
    given = dict(inputs) if isinstance(inputs, Mapping) else {"input": np.asarray(inputs)}
    given = {name: values for name, values in given.items() if name not in graph.unread_inputs}
    ports = graph.inputs
    if not ports:
        raise InputError(f"graph {graph.name!r} has no inputs")
    if graph.shape_only:
        raise InputError(f"graph {graph.name!r} carries shapes only; it takes no input values")
    if "input" in given and len(ports) == 1 and not {ports[0].tensor, ports[0].host_name} & set(given):
        given[ports[0].host_name] = given.pop("input")
    expected = [port.host_name for port in ports]
    unknown = set(given) - {name for port in ports for name in (port.tensor, port.host_name)}
    if unknown:
        raise InputError(f"inputs {sorted(unknown)} are not inputs of the network; it has {expected}")
    batches = {port.tensor: _batch(graph, port, given, expected) for port in ports}
    counts = {name: len(batch) for name, batch in batches.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"inputs hold different numbers of inferences: {counts}")
    return batches


def _batch(graph: Graph, port: HostPort, given: Arrays, expected: list[str]) -> NDArray[Any]:
    values = given.get(port.host_name, given.get(port.tensor))
    if values is None:
        raise InputError(
            f"input {port.host_name!r} is missing; the network's inputs are {expected}, got {sorted(given)}"
        )
    tensor = graph.tensors[port.tensor]
    values = tensor.from_host(_with_inferences(np.asarray(values), tensor.host_shape, port.host_name))
    if values.dtype.kind == "f":
        if not port.real or tensor.scale is None:
            raise InputError(
                f"input {port.host_name!r}: expected {tensor.format} codes, got {values.dtype}; "
                f"quantize with scale {tensor.scale} and zero point {tensor.zero_point}"
            )
        return quantize(
            values, scale=tensor.scale, zero_point=tensor.zero_point, fmt=tensor.format, rounding=port.rounding
        )
    if values.dtype.kind not in "iu":
        raise InputError(f"input {port.host_name!r}: expected {tensor.format} codes, got {values.dtype}")
    if not tensor.format.holds(values):
        raise InputError(
            f"input {port.host_name!r}: values {int(values.min())}..{int(values.max())} leave {tensor.format} "
            f"({tensor.format.min}..{tensor.format.max})"
        )
    return values.astype(tensor.format.dtype)


def _with_inferences(values: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """(inferences, *shape): one inference, with or without a leading axis of 1, or several along a new axis or that one."""
    if values.shape == shape:
        return values[None]
    if shape[:1] == (1,) and values.shape == shape[1:]:
        return values[None, None]
    if values.shape[1:] == shape and len(values):
        return values
    if shape[:1] == (1,) and values.shape[1:] == shape[1:] and len(values):
        return values[:, None]
    raise InputError(f"input {name!r}: expected shape {shape} or N inferences of it, got {values.shape}")


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
