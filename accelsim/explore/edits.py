"""What an edit of ``evaluate`` is about: the machine, the network, or who maps one to the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from accelsim.arch import Arch
from accelsim.explore.batch import batched, checked_batch
from accelsim.explore.widths import Widths, checked_width, is_width, ordered, with_widths
from accelsim.graph import Graph
from accelsim.objective import DEFAULT_OBJECTIVE, Objective, checked_objective

BATCH, OBJECTIVE = "batch", "mapping.objective"


class Workload(NamedTuple):
    """Edits of the network: widths of its weights and activations, and its number of images."""

    widths: Widths = ()
    batch: int = 1

    def of(self, graph: Graph) -> Graph:
        """``graph``, edited; ConfigError or GraphError where it cannot be."""
        graph = with_widths(graph, self.widths) if self.widths else graph
        return batched(graph, self.batch)


class Edit(NamedTuple):
    """One row's edits, by what they are about."""

    machine: dict[str, object]
    workload: Workload
    objective: Objective


def is_network(path: str) -> bool:
    """Whether ``path`` is about the network: to be timed and priced, not executed."""
    return path == BATCH or is_width(path)


def edited(graph: Graph, edits: Mapping[str, object]) -> Graph:
    """``graph`` with its own ``edits``; ConfigError or GraphError where it cannot be."""
    return split(edits, DEFAULT_OBJECTIVE).workload.of(graph)


def read_value(path: str, value: object) -> Any:
    """``value`` as an edit of ``path`` reads it, units as numbers; ConfigError for an unknown path, or what none can have there."""
    if path == BATCH:
        return checked_batch(value)
    if path == OBJECTIVE:
        return checked_objective(value, where=path)
    return checked_width(path, value) if is_width(path) else Arch.read_value(path, value)


def split(edit: Mapping[str, object], objective: Objective) -> Edit:
    """``edit`` taken apart; ``objective`` counts where it names none. ConfigError for a value that is none."""
    others = [path for path in edit if path == OBJECTIVE or is_network(path)]
    if not others:
        return Edit(dict(edit), Workload(), objective)
    workload = Workload(ordered(edit), checked_batch(edit.get(BATCH, 1)))
    least = checked_objective(edit.get(OBJECTIVE, objective), where=OBJECTIVE)
    return Edit({path: value for path, value in edit.items() if path not in others}, workload, least)
