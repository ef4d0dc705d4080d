"""``reliefs``: which change of the machine takes most off each layer, found by simulating a few of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from accelsim.arch import DEFAULT_ARCH, Arch, load_arch
from accelsim.errors import AccelsimError
from accelsim.explore.sensitivity import edit_of
from accelsim.graph import Graph
from accelsim.hardware import DMA_QUEUES
from accelsim.importers import load_for
from accelsim.objective import Objective
from accelsim.result import Change, Reliefs, Result
from accelsim.simulation import DEFAULT, simulate

Progress = Callable[[str, int, int], None]


class _Knob(NamedTuple):
    """A number of the machine that is changed by a factor."""

    path: str
    factor: float
    text: str


_BANDWIDTH = _Knob("dram.bandwidth_bytes_per_s", 2, "twice the DRAM bandwidth")
_LATENCY = _Knob("dram.latency_ns", 0.5, "half the DRAM latency")
_ROWS = _Knob("array.rows", 2, "twice the array's rows")
_COLUMNS = _Knob("array.cols", 2, "twice the array's columns")
_SUMS = _Knob("accumulator.count", 2, "twice the accumulators")
_WEIGHTS = _Knob("weight_buffer.size_bytes", 2, "twice the weight buffer")
_ACTIVATIONS = _Knob("activation_buffer.size_bytes", 2, "twice the activation buffer")
_SHARED = _Knob("shared_buffer.size_bytes", 2, "twice the buffer of weights and activations")
_OUTPUTS = _Knob("output_buffer.size_bytes", 2, "twice the output buffer")
_REQUANTIZER = _Knob("requantizer.lanes", 2, "twice the requantizer lanes")
_VECTOR = _Knob("vector.lanes", 2, "twice the vector lanes")
_QUEUES = _Knob("dma.queues", 2, "another DMA queue")
KNOBS: dict[str, tuple[_Knob, ...]] = {
    "compute": (_ROWS, _COLUMNS, _BANDWIDTH),
    "fill/drain": (_SUMS, _ROWS, _COLUMNS, _BANDWIDTH),
    "weight load": (_BANDWIDTH, _WEIGHTS, _ACTIVATIONS, _SHARED, _LATENCY, _QUEUES),
    "activation load": (_BANDWIDTH, _ACTIVATIONS, _SHARED, _SUMS, _LATENCY, _QUEUES),
    "store": (_BANDWIDTH, _OUTPUTS, _LATENCY, _QUEUES),
    "requantize": (_REQUANTIZER, _BANDWIDTH),
    "vector": (_VECTOR, _BANDWIDTH),
    "keep": (_ACTIVATIONS, _SHARED, _REQUANTIZER, _BANDWIDTH),
    "recall": (_ACTIVATIONS, _SHARED, _BANDWIDTH),
    "none": (),
}
"""What may relieve a layer, by what bounds it; twice the bandwidth is always tried, since layers overlap."""


def reliefs(
    model: str | Path | Graph,
    *,
    arch: str | Path | Arch = DEFAULT_ARCH,
    mapping: str | Path = DEFAULT,
    objective: Objective | None = None,
    base: Result | None = None,
    progress: Progress | None = None,
) -> Reliefs:
    """``model`` simulated again on ``arch`` with each of a few changes, chosen by what bounds its layers (:data:`KNOBS`).

    ``mapping`` and ``objective`` as of :func:`accelsim.simulate`, the same for every machine; ``base`` is the Result without a change,
    simulated where not given. A change that the machine or the mapping does not allow is there with its reason. Errors of ``model`` and
    ``arch`` as of :func:`accelsim.simulate`.
    """
    graph, machine = load_for(model, arch if isinstance(arch, Arch) else load_arch(arch))
    own = base or simulate(graph, arch=machine, mapping=mapping, objective=objective)
    found, knobs = list[Change](), _chosen(own)
    for done, knob in enumerate(knobs, start=1):
        edit = _edit(machine, knob)
        if edit:
            found.append(_changed(graph, machine, knob, edit, mapping, objective))
        if progress is not None:
            progress("changed machines", done, len(knobs))
    return Reliefs(own, tuple(found))


def _chosen(base: Result) -> list[_Knob]:
    """Those of every bound of a layer, the bounds of most cycles first."""
    cycles = Counter[str]()
    for layer in base.layers:
        cycles[layer.bound] += layer.cycles
    return list(dict.fromkeys(knob for bound, spent in cycles.most_common() if spent for knob in KNOBS[bound]))


def _edit(arch: Arch, knob: _Knob) -> dict[str, object]:
    """The change on ``arch``, by path; empty where there is nothing to change: a latency of 0, all queues there are."""
    value = arch.get(knob.path)
    if not isinstance(value, int | float) or not value:
        return {}
    if knob is _QUEUES:
        return edit_of(arch, knob.path, value + 1) if value < max(DMA_QUEUES) else {}
    return edit_of(arch, knob.path, int(value * knob.factor) if isinstance(value, int) else value * knob.factor)


def _changed(
    graph: Graph, arch: Arch, knob: _Knob, edit: dict[str, object], mapping: str | Path, objective: Objective | None
) -> Change:
    try:
        result = simulate(graph, arch=arch.with_(edit), mapping=mapping, objective=objective)
    except AccelsimError as error:
        return Change(knob.text, edit, None, str(error))
    return Change(knob.text, edit, result)
