"""Inputs in, integers out: which reader computes them, what was proved, and the accuracy where labels are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import AccelsimError, InputError
from accelsim.execute.host_inputs import Arrays, gather_inputs
from accelsim.execute.proof import accumulator_formats, order_free, prove_graph
from accelsim.execute.state import checked_reset, held_state, named_state
from accelsim.execute.tiled import run_program
from accelsim.execute.whole import WholeReader
from accelsim.graph import Graph
from accelsim.labels import answers, check_labels
from accelsim.quant import dequantize
from accelsim.result import ValueSummary
from accelsim.timing import Timeline


@dataclass(frozen=True, eq=False)
class Values:
    """Tensors by name, inferences along the leading axis, how they were made, and what variables hold behind the last one."""

    tensors: dict[str, NDArray[Any]]
    summary: ValueSummary
    state: dict[str, NDArray[Any]]


def compute_values(
    timeline: Timeline,
    inputs: Arrays | NDArray[Any],
    *,
    labels: NDArray[Any] | None,
    keep: Literal["outputs", "all"],
    check_inputs: int | None,
    progress: Callable[[str, int, int], None] | None,
    state: Arrays | None = None,
    reset_every: int | None = None,
) -> Values:
    """The bits of every inference.

    Whole-layer kernels compute them where no accumulator can leave its range or overflow wraps; otherwise the order of sums
    matters and every inference runs through the Program. Inferences of a network with variables run in order, from ``state``
    (by the variables' names), and from what they hold at first before every ``reset_every``-th.
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
    carried, every = held_state(graph, state), checked_reset(graph, reset_every) or count
    runs = []
    for i in range(tiled):
        held = {} if i and i % every == 0 else carried
        made = _through_program(timeline, whole, {name: batch[i] for name, batch in batches.items()} | held)
        carried = graph.carried(made)
        runs.append(_kept(graph, made, keep))
        tell("inferences", i + 1, count)
    for first, stop in _unbroken(tiled, count, every):
        assert whole is not None
        rest = {name: batch[first:stop] for name, batch in batches.items()}
        held = {} if first and first % every == 0 else carried
        batch = whole.run_batch(rest, keep=keep, progress=partial(_tell_from, tell, first, count), state=held)
        carried = {name: codes[-1] for name, codes in graph.carried(batch).items()}
        runs += [_kept(graph, made, keep) for made in _singly(batch)]
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
    return Values(tensors | _real_ports(graph, tensors), summary, named_state(graph, carried))


def _unbroken(first: int, count: int, every: int) -> Iterator[tuple[int, int]]:
    """Inferences ``first`` to ``count`` in ranges at whose ends state is reset."""
    while first < count:
        stop = min(count, (first // every + 1) * every)
        yield first, stop
        first = stop


def _tell_from(tell: Callable[[str, int, int], None], first: int, count: int, done: int) -> None:
    tell("inferences", first + done, count)


def _kept(graph: Graph, values: Arrays, keep: Literal["outputs", "all"]) -> dict[str, NDArray[Any]]:
    """All tensors, or the host's outputs."""
    return dict(values) if keep == "all" else {port.tensor: values[port.tensor] for port in graph.outputs}


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


def _through_program(timeline: Timeline, whole: WholeReader | None, inputs: Arrays) -> dict[str, NDArray[Any]]:
    """One inference through the Program, which whole layers, where they may be asked, must agree with."""
    values = run_program(timeline.program, inputs, timeline=timeline)
    if whole is not None:
        exact = whole.run(inputs, keep="all")
        _must_agree(exact, values)
        values = exact
    return values


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
    """Inferences whose answer is the label."""
    if labels is None:
        return None
    name = graph.outputs[0].tensor
    return int((answers(tensors[name].reshape(count, -1), classes=graph.classes(name)) == np.asarray(labels)).sum())


def _check_labels(graph: Graph, labels: NDArray[Any] | None, count: int) -> None:
    if labels is None:
        return
    if len(graph.outputs) != 1:
        raise InputError(f"labels need a network with one output, {graph.name!r} has {len(graph.outputs)}")
    name = graph.outputs[0].tensor
    check_labels(labels, count=count, outputs=graph.tensors[name].elements, classes=graph.classes(name))


def _real_ports(graph: Graph, tensors: Arrays) -> dict[str, NDArray[Any]]:
    """Float tensors that the host sees, under the names they have in the model file."""
    real = {}
    for port in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors[port.tensor]
        if port.real and port.tensor in tensors and tensor.scale is not None:
            real[port.host_name] = dequantize(tensors[port.tensor], scale=tensor.scale, zero_point=tensor.zero_point)
    return real
