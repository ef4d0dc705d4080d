"""What if the accumulators were narrower: where it breaks, the smallest width that does not, accuracy at each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccumulatorOverflowError, ConfigError
from accelsim.execute import prove_graph
from accelsim.labels import answers
from accelsim.verification.readings.machine import Machine
from accelsim.verification.report import WidthRow, WidthStudy

Array = NDArray[Any]
Runs = Sequence[Mapping[str, Array]]


def study_widths(machine: Machine, batches: Mapping[str, Array], labels: Array | None) -> WidthStudy | None:
    """From the machine's own width up to the first that changes no code of these inputs; None where all sums are proved to fit."""
    if machine.arch is None or not machine.unproved:
        return None
    exact = list(Machine(machine.graph).run_all(batches))
    proved = max(proof.bits_needed for proof in prove_graph(machine.graph, machine.arch))
    rows = []
    for bits in range(machine.arch.accumulator.bits, max(proved, machine.arch.accumulator.bits) + 1):
        row = _row(machine, bits, batches, exact, labels)
        if row is None:
            continue
        rows.append(row)
        if not row.differing:
            break
    smallest = next((row.bits for row in rows if not row.differing), None)
    return WidthStudy(
        overflow=str(machine.arch.accumulator.overflow), rows=tuple(rows), smallest=smallest, proved=proved
    )


def _row(
    machine: Machine, bits: int, batches: Mapping[str, Array], exact: Runs, labels: Array | None
) -> WidthRow | None:
    """None for a width that the machine cannot have, or at which it traps."""
    assert machine.arch is not None
    graph = machine.graph
    try:
        narrow = Machine(graph, machine.arch.with_({"accumulator.bits": bits}))
        made = list(narrow.run_all(batches))
    except (ConfigError, AccumulatorOverflowError):
        return None
    wrong = {
        layer: sum(int((a[layer.output] != b[layer.output]).sum()) for a, b in zip(made, exact, strict=True))
        for layer in graph.layers
    }
    last = graph.outputs[0].tensor
    found = answers(np.stack([run[last].reshape(-1) for run in made]), classes=graph.classes(last))
    return WidthRow(
        bits=bits,
        differing=sum(wrong.values()),
        elements=len(made) * sum(graph.tensors[layer.output].elements for layer in graph.layers),
        first_layer=next((layer.name for layer in graph.layers if wrong[layer]), None),
        accuracy=None if labels is None else float((found == labels).mean()),
    )
