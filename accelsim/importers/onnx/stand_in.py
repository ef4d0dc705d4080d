"""What stands for the results of refused nodes, so that the nodes after them are looked at too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from accelsim.errors import ModelError, Refusals
from accelsim.importers.onnx.chain import Chained, Final, chain
from accelsim.importers.onnx.constants import fold, is_known
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.early import quantize_early
from accelsim.importers.onnx.file import Told, told_shapes
from accelsim.importers.onnx.file.records import FORMAT_TYPES, OnnxInput
from accelsim.importers.onnx.formulas import Floats
from accelsim.importers.onnx.network import Codes, HostReal, Network, Pending
from accelsim.importers.onnx.registry import REFUSED, Lowerings
from accelsim.importers.refusal import in_file
from accelsim.importers.registry import lowering_of
from accelsim.numerics import IntFormat


@dataclass(frozen=True)
class _Nothing:
    """The base of a chain that no layer starts."""

    channels: int = 1

    def probes(self) -> Floats:
        """No number is known."""
        return np.zeros((1, 1), np.float32)

    def settle(self, chain: Chained, final: Final, name: str) -> None:
        """Make no layer."""


@dataclass(eq=False)
class Turns:
    """The nodes of a network in turn: each one's layers are made, or its refusal is gathered and its results are stood in for.

    ``standing`` are the names of results that stand for others; what a node refuses of one is no fault of its own. A quantizer
    makes codes of a float one, from which on every node is judged as in a network without refusals.
    """

    net: Network
    lowerings: Lowerings
    refusals: Refusals
    standing: set[str] = field(default_factory=set)

    def take(self, node: NodeContext) -> None:
        """Make the layers of ``node``; its refusal waits with the others."""
        reads = self.standing.intersection(node.inputs)
        try:
            with node.located():
                is_there = reads <= self.net.values.keys()
                if is_there and is_known(node):
                    fold(node)
                else:
                    lowering = lowering_of(node.op, self.lowerings, REFUSED)
                    node.need(is_there, "an operand of it was refused", "what that one accepts")
                    quantize_early(node, self.lowerings)
                    lowering.function(node)
                node.need_all_seen()
        except ModelError as error:
            if node.op not in self.lowerings or not reads:
                self.refusals.add(error)
            self._stand_in(node)
        else:
            self.standing.update(name for name in node.outputs if reads and self._is_open(name))

    def read(self, value: OnnxInput, read: Callable[[Network, OnnxInput], None]) -> None:
        """``read`` a graph input; its refusal waits with the others."""
        with self.refusals.gathering(), in_file(self.net.model.path, "its graph inputs"):
            read(self.net, value)
        if value.name not in self.net.values:
            self.standing.add(value.name)
            self.net.values[value.name] = HostReal(value.name, value.shape)

    def _is_open(self, name: str) -> bool:
        """Whether a result still depends on what it was made of."""
        value = self.net.values.get(name)
        return isinstance(value, Pending | HostReal) or (isinstance(value, Codes) and value.quantization is None)

    def _stand_in(self, node: NodeContext) -> None:
        for name in filter(None, node.outputs):
            self.standing.add(name)
            self.net.values.pop(name, None)
            told = self._told.get(name)
            if told is not None and told.type == "FLOAT":
                self.net.values[name] = chain(_Nothing(), told.shape, f"a {node.op}")
            elif told is not None and told.type in FORMAT_TYPES:
                self.net.values[name] = self.net.make(name, told.shape, IntFormat.parse(told.type.lower()), None)

    @cached_property
    def _told(self) -> Mapping[str, Told]:
        return told_shapes(self.net.model)
