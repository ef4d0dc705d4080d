"""The networks that the machines of one table compute: one model in the arithmetics, widths and batches of its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from accelsim.arch import Arch
from accelsim.energy import check_clock
from accelsim.errors import AccelsimError, ConfigError, InputError
from accelsim.explore.accuracy import OTHER_WIDTHS, Labelled
from accelsim.explore.batch import batched
from accelsim.explore.edits import Workload, split
from accelsim.explore.float_network import FloatNetwork, Quantize
from accelsim.graph import Graph
from accelsim.importers import load_for, resolve_model
from accelsim.mapper import Objective, divide_memory
from accelsim.mapper.network import Groups, Lowered

MOST_EDITED = 256
"""Networks of other widths or batches that are remembered."""
Model = Path | Graph | FloatNetwork


class Network(NamedTuple):
    """A Graph in one arithmetic: lowered, and its layers by what their actions cost; ``arithmetic`` of the machines that compute it.

    ``single`` is the Graph of one image at a time, whose values are known; None where those of other widths are not.
    """

    lowered: Lowered
    groups: Groups
    arithmetic: str | None
    single: Graph | None

    @classmethod
    def of(cls, graph: Graph, arithmetic: str | None, single: Graph | None) -> Network:
        """The network that computes ``graph``."""
        return cls(Lowered(graph), Groups(graph), arithmetic, single)


class Point(NamedTuple):
    """A machine, its row of the table, the network that it computes, what its tiles minimise, and its accuracy, NaN without labels."""

    row: int
    arch: Arch
    network: Network
    objective: Objective
    accuracy: float


def model_of(model: str | Path | Graph, quantize: Mapping[str, Any] | Quantize | None) -> Model:
    """What ``model`` names: a Graph, a file, or with ``quantize`` a float network."""
    if quantize is not None:
        if isinstance(model, Graph):
            raise ConfigError(
                f"quantize: {model.name!r} is a Graph, which has integers; give the file of a float network"
            )
        return FloatNetwork.of(model, quantize)
    return model if isinstance(model, Graph) else resolve_model(model)


class Networks:
    """The Graphs of one model, by arithmetic, widths and batch."""

    def __init__(self, model: Model, base: Arch, objective: Objective, labelled: Labelled | None = None) -> None:
        self._model, self._objective, self._labelled = model, objective, labelled
        self._known: dict[object, Network] = {}
        self._edited: dict[object, Network] = {}
        self._clocks: set[object] = set()
        self._base, self._own = base, base.arithmetic is None
        if labelled is not None and isinstance(model, FloatNetwork):
            labelled.check_real()
        if self._own:
            self._base = base.with_({"arithmetic": self._network(base, True, Workload()).arithmetic})

    def point(self, row: int, edit: Mapping[str, object]) -> Point:
        """The machine of one row, with the network in its arithmetic; AccelsimError where it is invalid."""
        arch, network, objective = self._edited_by(edit)
        if (clock := (arch.tech, arch.clock_hz)) not in self._clocks:
            check_clock(arch)
            self._clocks.add(clock)
        network.lowered.check(arch)
        divided = divide_memory(network.lowered.graph, arch=arch, objective=objective)
        return Point(row, divided, network, objective, self._share(network, arch, objective))

    def accuracy(self, edit: Mapping[str, object]) -> float | None:
        """The share of labels that the machine so edited meets, whatever its tiles; NaN without labels, and for an edit that is invalid.

        None where values follow the order of sums. InputError for inputs and labels that do not fit.
        """
        try:
            arch, network, objective = self._edited_by(edit)
            known, graph = self._labelled, network.single
            if known is not None and graph is not None and known.arithmetic(graph, arch) is None:
                return None
            return self._share(network, arch, objective)
        except InputError:
            raise
        except AccelsimError:
            return math.nan

    def _edited_by(self, edit: Mapping[str, object]) -> tuple[Arch, Network, Objective]:
        """The machine, in the arithmetic of its network, the network, and what tiles are to minimise."""
        machine, workload, objective = split(edit, self._objective)
        arch = self._base.with_(machine)
        own = self._own and not any(path.partition(".")[0] in ("arithmetic", "overrides") for path in machine)
        network = self._network(arch, own, workload)
        if own and network.arithmetic != arch.arithmetic:
            arch = arch.with_({"arithmetic": network.arithmetic})
        return arch, network, objective

    def _share(self, network: Network, arch: Arch, objective: Objective) -> float:
        """The accuracy; ConfigError where labels are there and values are not known."""
        if self._labelled is None:
            return math.nan
        if network.single is None:
            raise ConfigError(
                f"{OTHER_WIDTHS}; give the float network, and quantize: {{...}}, for accuracy at every width"
            )
        return self._labelled.share(network.single, arch, objective)

    def _network(self, arch: Arch, own: bool, workload: Workload) -> Network:
        """The model as ``workload`` has it, in the arithmetic of ``arch``, or its ``own``."""
        rules = None if own and arch.scheme is None else (arch.arithmetic, arch.operator_schemes)
        if workload == Workload():
            if rules not in self._known:
                self._known[rules] = self._made(arch, own, workload)
            return self._known[rules]
        key = rules, workload.batch, tuple((path, str(value)) for path, value in workload.widths)
        if key not in self._edited:
            if len(self._edited) >= MOST_EDITED:
                self._edited.clear()
            self._edited[key] = self._made(arch, own, workload)
        return self._edited[key]

    def _made(self, arch: Arch, own: bool, workload: Workload) -> Network:
        if isinstance(self._model, FloatNetwork):
            single, machine = self._model.load_for(_unstated(arch) if own else arch, workload.widths)
            return Network.of(batched(single, workload.batch), machine.arithmetic, single)
        if workload == Workload():
            graph, machine = load_for(self._model, arch)
            return Network.of(graph, machine.arithmetic, graph)
        plain = self._network(arch, own, Workload())
        graph = workload.of(plain.lowered.graph)
        return Network.of(graph, plain.arithmetic, None if workload.widths else plain.single)


def _unstated(arch: Arch) -> Arch:
    return arch.with_({"arithmetic": None}) if arch.arithmetic is not None else arch
