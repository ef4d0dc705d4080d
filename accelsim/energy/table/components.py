"""The components that a machine asks energy tables for: the one list that the reader, the charges, the areas and the reports go by.

Another component is a row of :data:`CATALOGUE` and, unless tables are to hold it themselves, compounds in ``machine.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

LEAK, AREA = "leak", "area"
"""Watts as long as the machine is on; square micrometres. Any component may have them."""
MAC_LAYERS, VECTOR_LAYERS, ALL_LAYERS = "mac", "vector", "all"


@dataclass(frozen=True)
class Charge:
    """One ``action`` of a component that runs pay for, ``count`` times: a column of :class:`~accelsim.energy.ActionCounts`.

    ``sizes``: which of :func:`accelsim.energy.machine.layer_sizes` it is asked at. ``tensor``: what it serves; empty where that
    varies (:func:`accelsim.energy.model._by_tensor`). ``optional``: left out, and said so, where a table lacks it; no run has an
    energy without the others. ``layers``: those that pay for it.
    """

    component: str
    action: str
    count: str
    sizes: Literal["product", "memory", "bit", "code", "none"]
    tensor: str = ""
    optional: bool = False
    layers: str = ALL_LAYERS

    @property
    def key(self) -> str:
        """Its name among the prices of a layer."""
        return f"{self.component}_{self.action}"


@dataclass(frozen=True)
class Component:
    """What tables may say of a component: its ``actions`` besides leakage and area, and the ``sizes`` that their laws may go by.

    ``charges``: what layers pay for. ``lacking``: what is not modelled by a table without its first action. ``off_chip``: made in
    another process, so that node and voltage of the machine do not scale it.
    """

    name: str
    actions: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    charges: tuple[Charge, ...] = ()
    lacking: str = ""
    off_chip: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        """Every action that a table may hold."""
        return (*self.actions, LEAK, AREA)


def _memory(name: str, tensors: tuple[str, str], *more: Charge) -> Component:
    """Reads and writes, priced per bit (per word of the accumulators) by capacity, and what ``more`` is charged."""
    charges = (
        Charge(name, action, f"{name}_{action}", "memory", tensor)
        for action, tensor in zip(("read", "write"), tensors, strict=True)
    )
    actions = "read", "write", *(charge.action for charge in more)
    return Component(name, actions, ("bits", "capacity_bytes"), (*charges, *more))


def _scratchpad(name: str, tensor: str, *, loads: bool) -> Component:
    """A memory in each MAC unit: read and written as products are made, and, if the operand may stay there (``loads``), filled before."""
    accesses = {"read": "array_mac", "write": "array_mac", **({"load": "array_load"} if loads else {})}
    charges = (
        Charge(name, action, count, "product", tensor, optional=True, layers=MAC_LAYERS)
        for action, count in accesses.items()
    )
    return Component(name, tuple(accesses), ("bits", "capacity_bytes"), tuple(charges))


_OPERANDS = "left_bits", "right_bits"
CATALOGUE = (
    Component("multiplier", ("multiply",), _OPERANDS),
    Component("adder", ("add",), ("bits",)),
    Component("pe", ("mac",), _OPERANDS),
    Component("fusible_pe", ("mac",), _OPERANDS),
    Component("shift_pe", ("mac",), _OPERANDS),
    Component("sram", ("read", "write"), ("bits", "capacity_bytes")),
    Component("scratchpad", ("read", "write"), ("bits", "capacity_bytes")),
    Component("register", ("write", "tick"), ("bits",), lacking="registers of processing elements"),
    Component("wire", ("move",), ("bits", "length_um"), lacking="wires between processing elements"),
    Component("shifter", ("shift",), ("bits",), lacking="requantization shifters"),
    Component("rice_decoder", ("decode",), ("bits",)),
    Component("array", ("mac", "load", "correct", "sum"), (*_OPERANDS, "bits", "length_um"), (
        Charge("array", "mac", "array_mac", "product", "arithmetic", layers=MAC_LAYERS),
        Charge("array", "load", "array_load", "bit", optional=True),
        Charge("array", "correct", "array_correct", "product", "arithmetic", optional=True, layers=MAC_LAYERS),
        Charge("array", "sum", "array_sum", "product", "arithmetic", optional=True, layers=MAC_LAYERS),
    )),
    Component("fusible_array", ("mac",), (*_OPERANDS, "length_um")),
    Component("shift_array", ("mac",), (*_OPERANDS, "length_um")),
    Component("tree_array", ("mac",), (*_OPERANDS, "length_um")),
    _scratchpad("weight_scratchpad", "weights", loads=True),
    _scratchpad("activation_scratchpad", "inputs", loads=True),
    _scratchpad("sum_scratchpad", "partial_sums", loads=False),
    _memory("weight_buffer", ("weights", "weights"),
            Charge("weight_buffer", "decode", "weight_decode", "product", "weights", optional=True, layers=MAC_LAYERS)),
    _memory("activation_buffer", ("", "")),
    Component("shared_buffer", sizes=("capacity_bytes",)),
    _memory("accumulator", ("partial_sums", "partial_sums")),
    _memory("output_buffer", ("outputs", "outputs")),
    Component("requantizer", ("requant", "threshold", "shift"), charges=(
        Charge("requantizer", "requant", "requantizer_requant", "code", "arithmetic", layers=MAC_LAYERS),
    )),
    Component("shift_requantizer"),
    Component("threshold_requantizer"),
    Component("vector", ("step",), charges=(
        Charge("vector", "step", "vector_step", "none", "arithmetic", layers=VECTOR_LAYERS),
    )),
    Component("dma", ("transfer",), ("bits",), (
        Charge("dma", "transfer", "dma_transfer", "bit", optional=True),
    ), lacking="DMA engines"),
    Component("dram", ("read", "write"), ("bits",), (
        Charge("dram", "read", "dram_read", "bit"),
        Charge("dram", "write", "dram_write", "bit", "outputs"),
    ), off_chip=True),
    Component("weight_memory", ("read",), ("bits", "capacity_bytes"), (
        Charge("weight_memory", "read", "weight_memory_read", "memory", "weights"),
    ), off_chip=True),
    replace(_memory("activation_memory", ("inputs", "outputs")), off_chip=True),
    Component("clock", ("tick",), (*_OPERANDS, "pes"), lacking="clock tree"),
)  # fmt: skip
"""Primitives, then the machine's parts in the order of the energy split."""
SCRATCHPADS: Mapping[str, str] = {
    "weights": "weight_scratchpad",
    "activations": "activation_scratchpad",
    "sums": "sum_scratchpad",
}
"""Components of :attr:`accelsim.arch.ArrayConfig.scratchpads`."""
MEMORIES: Mapping[str, Literal["weights", "activations"]] = {
    "weight_memory": "weights",
    "activation_memory": "activations",
}
"""Components of the memories outside the buffers that are no part of ``dram``, and the streams that say what they are."""
PARTS = (
    "array",
    *SCRATCHPADS.values(),
    "weight_buffer",
    "activation_buffer",
    "shared_buffer",
    "output_buffer",
    "accumulator",
    "requantizer",
    "vector",
    *MEMORIES,
)
"""Parts of the machine whose area and leakage are asked for, in the order of reports."""
BY_NAME: Mapping[str, Component] = {component.name: component for component in CATALOGUE}
CHARGES: Mapping[str, Charge] = {charge.key: charge for component in CATALOGUE for charge in component.charges}
"""What layers pay for, by name."""
COMPONENTS = (*dict.fromkeys(charge.component for charge in CHARGES.values()), "clock", "leakage")
"""The parts of the energy split; the last two draw as long as the machine is on."""
ACTIONS = (*dict.fromkeys(chain.from_iterable(component.actions for component in CATALOGUE)), LEAK, AREA)
SIZES = tuple(dict.fromkeys(chain.from_iterable(component.sizes for component in CATALOGUE)))
"""Sizes that entries may depend on; ``log2_`` before one, or ``log2_capacity_bits``, is its logarithm."""
OFF_CHIP = tuple(component.name for component in CATALOGUE if component.off_chip)
LACKING: Mapping[str, str] = {f"{c.name}.{c.actions[0]}": c.lacking for c in CATALOGUE if c.lacking}
"""What is not modelled by a table without an entry, in words."""


def is_known(component: str, action: str) -> bool:
    """Whether a machine, or a compound of its own, asks tables for ``action`` of ``component``."""
    return component in BY_NAME and action in BY_NAME[component].known
