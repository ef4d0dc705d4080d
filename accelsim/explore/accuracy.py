"""How many labels the integers of a machine meet: computed once for each distinct arithmetic of a network."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import InputError
from accelsim.execute import accumulator_formats, order_free, prove_graph, share_correct
from accelsim.graph import Graph
from accelsim.objective import Objective
from accelsim.simulation import run

Arrays = Mapping[str, NDArray[Any]]
OTHER_WIDTHS = "what other widths do to the values of a quantized file is not known"
VALUE_PATHS = (
    "arithmetic",
    "overrides",
    "requantizer.stages",
    "accumulator.bits",
    "accumulator.overflow",
    "array.activation_bits",
)
"""Parameters of a machine, or beginnings of their paths, that values may follow; the others decide the order of sums alone."""


def is_value_path(path: str) -> bool:
    """Whether values may follow the parameter of a machine at ``path``, where the order of sums does not matter."""
    return any(path == known or path.startswith(f"{known}.") for known in VALUE_PATHS)


@dataclass(eq=False)
class Labelled:
    """Inputs and their labels, and what share of them each arithmetic met."""

    inputs: Arrays | NDArray[Any]
    labels: NDArray[Any]
    _known: dict[Hashable, float] = field(default_factory=dict)
    _arithmetics: dict[Hashable, Hashable | None] = field(default_factory=dict)

    def check_real(self) -> None:
        """InputError for inputs that are codes: they mean something else at each width."""
        arrays = self.inputs if isinstance(self.inputs, Mapping) else {"input": self.inputs}
        for name, values in arrays.items():
            if np.asarray(values).dtype.kind != "f":
                raise InputError(
                    f"input {name!r} holds {np.asarray(values).dtype}, which would be codes and mean something else at each width; "
                    "give real numbers, as the float network takes them"
                )

    def share(self, graph: Graph, arch: Arch, objective: Objective) -> float:
        """The share of labels that ``graph`` meets on ``arch``; InputError where it has no weights, or inputs and labels do not fit."""
        if graph.shape_only:
            raise InputError(f"{graph.name}: carries shapes only; accuracy needs a network with weights")
        arithmetic = self.arithmetic(graph, arch)
        key = arithmetic or (graph, arch, objective)
        if key not in self._known:
            self._known[key] = (
                self._by_tiles(graph, arch, objective)
                if arithmetic is None
                else share_correct(graph, arch, self.inputs, self.labels)
            )
        return self._known[key]

    def _by_tiles(self, graph: Graph, arch: Arch, objective: Objective) -> float:
        made = run(graph, arch=arch, inputs=self.inputs, labels=self.labels, check_inputs=0, objective=objective)
        values = made.result.values
        return math.nan if values is None or values.accuracy is None else values.accuracy

    def arithmetic(self, graph: Graph, arch: Arch) -> Hashable | None:
        """What values follow: the network with the widths of its sums; None where they follow the order of sums, and so the whole machine."""
        given = graph, arch.accumulator.bits, arch.accumulator.overflow, arch.array.activation_bits
        if given not in self._arithmetics:
            is_free = order_free(prove_graph(graph, arch), arch.accumulator.overflow)
            self._arithmetics[given] = (graph, *accumulator_formats(graph, arch).items()) if is_free else None
        return self._arithmetics[given]


def labelled(inputs: Arrays | NDArray[Any] | None, labels: NDArray[Any] | None) -> Labelled | None:
    """Both together, or None; InputError for one alone."""
    if inputs is None and labels is None:
        return None
    if inputs is None or labels is None:
        missing, there = ("inputs", "labels") if inputs is None else ("labels", "inputs")
        raise InputError(f"{missing}: missing beside {there}; accuracy needs both")
    return Labelled(inputs, np.asarray(labels))
