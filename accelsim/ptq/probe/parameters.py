"""Scales, zero points and weights of the quantizers that are on: those that :mod:`accelsim.ptq.parameters` gives a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ConfigError
from accelsim.importers.onnx.file import OnnxNode
from accelsim.ptq.network.products import bias_of, is_product, per_output, units_first
from accelsim.ptq.operands import CONSTANT_BITS, OperandQuant, coded_operands, operand_quant
from accelsim.ptq.parameters import ActQuant, WeightQuant, act_parameters, weight_parameters
from accelsim.ptq.plan import Group, Plan, make_plan
from accelsim.ptq.probe.places import QuantizerId, places
from accelsim.ptq.quantization import Calibrated, Dialect, dialect_for
from accelsim.ptq.settings import MAX_BITS

Active = Mapping[QuantizerId, int | None]
"""Bits of the quantizers that are on; those absent, or None, are off."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Chosen:
    """The quantizers of one run that are on; ``acts`` by quantizer, ``weights`` and ``biases`` (real numbers) by a product's output,
    ``operands`` by that of an Add, Mul or their like."""

    acts: Mapping[QuantizerId, ActQuant]
    weights: Mapping[str, WeightQuant]
    biases: Mapping[str, Floats]
    operands: Mapping[str, tuple[OperandQuant, ...]]

    @property
    def widths(self) -> set[int]:
        """Bits of all codes."""
        formats = [*(held.format for held in self.acts.values()), *(held.format for held in self.weights.values())]
        return {fmt.bits for fmt in formats}

    @property
    def dialect(self) -> Dialect:
        """That of a file of these widths."""
        return dialect_for(self.widths)


@dataclass(eq=False)
class _Store:
    """What was computed; the keys begin with the fields of the settings on which it depends."""

    acts: dict[tuple[Any, ...], ActQuant] = field(default_factory=dict)
    weights: dict[tuple[Any, ...], WeightQuant] = field(default_factory=dict)
    operands: dict[tuple[QuantizerId, bool], tuple[OperandQuant, ...]] = field(default_factory=dict)


class Parameters:
    """Quantizers of ``calibrated`` at any width, each computed once; ``other`` of the same network shares what settings leave alike."""

    def __init__(self, calibrated: Calibrated, other: Parameters | None = None) -> None:
        self.calibrated = calibrated
        self._store: _Store = _Store() if other is None else other._store
        own = calibrated.settings
        self._of_acts = (own.range, own.percentile, own.symmetric, own.power_of_two)
        self._of_weights = (own.per_channel, own.power_of_two, own.range == "mse", own.bias_correction)

    @cached_property
    def plan(self) -> Plan:
        """That of the settings."""
        return make_plan(self.calibrated.network, self.calibrated.settings)

    @cached_property
    def places(self) -> dict[QuantizerId, Group | OnnxNode]:
        """Every quantizer, in the order of execution."""
        return places(self.calibrated.network, self.plan)

    @cached_property
    def by_tensor(self) -> dict[str, QuantizerId]:
        """The quantizer of every activation."""
        return {name: known for known in self.places if known.kind == "activations" for name in known.tensors}

    @cached_property
    def _nodes(self) -> dict[str, OnnxNode]:
        """Those with weights of any kind, by their output."""
        return {known.tensors[0]: node for known, node in self.places.items() if isinstance(node, OnnxNode)}

    def _is_product(self, name: str) -> bool:
        return is_product(self._nodes[name], self.calibrated.network.constants)

    def at(self, plan: Plan) -> dict[QuantizerId, int | None]:
        """All quantizers on, at the widths of ``plan``."""
        bits: dict[str, int] = {group.tensors[0]: group.bits for group in plan.groups}
        return {
            known: bits[known.tensors[0]]
            if known.kind == "activations"
            else plan.weight_bits.get(known.tensors[0], CONSTANT_BITS)
            for known in self.places
        }

    def chosen(self, active: Active) -> Chosen:
        """Parameters of ``active``; ConfigError for a quantizer of another network, or bits that no code has."""
        on = {known: self._checked(known, bits) for known, bits in active.items() if bits is not None}
        acts = {known: self.act(known, on) for known in on if known.kind == "activations"}
        held = {known.tensors[0]: known for known in on if known.kind == "weights"}
        weights = {name: self.weights(known, on) for name, known in held.items() if self._is_product(name)}
        biases = {name: self._bias(name, made, on) for name, made in weights.items()}
        operands = {name: self.operands(known, on) for name, known in held.items() if name not in weights}
        return Chosen(acts, weights, biases, operands)

    def values(self, name: str, chosen: Chosen) -> tuple[Floats, ...]:
        """Weights and bias, or the operands, of the node that makes tensor ``name``, as they stand in a network with ``chosen`` on."""
        if name in chosen.weights:
            return chosen.weights[name].real, chosen.biases[name]
        if name in chosen.operands and chosen.dialect == "qdq":
            return tuple(held.real for held in chosen.operands[name])
        return self._float(name)

    def _checked(self, known: QuantizerId, bits: int) -> int:
        if known not in self.places:
            raise ConfigError(f"quantizer {known}: the network has none such; expected one of .quantizers")
        if not 1 <= bits <= MAX_BITS:
            raise ConfigError(f"quantizer {known}: expected 1 to {MAX_BITS} bits, got {bits}")
        return bits

    def act(self, known: QuantizerId, on: Mapping[QuantizerId, int]) -> ActQuant:
        """Of a group of activations; at the width of the settings where it is off."""
        group = self.places[known]
        assert isinstance(group, Group)
        bits = on.get(known, group.bits)
        model = None if group.signed_as is None else self.by_tensor[group.signed_as]
        before = (
            None if model is None or model is known else replace(_group(self.places[model]), bits=self._bits(model, on))
        )
        key = *self._of_acts, known, bits, None if before is None else before.bits
        if key not in self._store.acts:
            groups = ((before,) if before is not None else ()) + (replace(group, bits=bits),)
            made = act_parameters(Plan(groups, {}), self.calibrated.seen, self.calibrated.settings)
            self._store.acts[key] = made[known.tensors[0]]
        return self._store.acts[key]

    def _bits(self, known: QuantizerId, on: Mapping[QuantizerId, int]) -> int:
        return on.get(known, _group(self.places[known]).bits)

    def input_of(self, name: str) -> QuantizerId:
        """The quantizer of what the product that makes tensor ``name`` reads."""
        return self.by_tensor[self._nodes[name].inputs[0]]

    def weights(self, known: QuantizerId, on: Mapping[QuantizerId, int]) -> WeightQuant:
        """Of a product. The step of its bias is ``s_in * s_w``, with the scale of the settings where its input's quantizer is off."""
        name = known.tensors[0]
        node, held = self._nodes[name], self.calibrated
        source = self.act(self.input_of(name), on)
        bits = on.get(known, self.plan.weight_bits[name])
        key = *self._of_weights, known, bits, source
        if key not in self._store.weights:
            alone, plan = replace(held.network, nodes=(node,)), Plan((), {name: bits})
            acts = {node.inputs[0]: source}
            made = weight_parameters(alone, plan, acts, held.settings, means=held.watch.means)
            self._store.weights[key] = made[name]
        return self._store.weights[key]

    def _bias(self, name: str, held: WeightQuant, on: Mapping[QuantizerId, int]) -> Floats:
        """What the bias codes stand for; zeros where there are none."""
        node = self._nodes[name]
        if held.bias is None:
            return self._no_bias(name)
        unit = np.float64(self.act(self.input_of(name), on).scale) * per_output(node, held.scales).astype(np.float64)
        real: Floats = (held.bias * unit).astype(np.float32)
        return real

    def operands(self, known: QuantizerId, on: Mapping[QuantizerId, int]) -> tuple[OperandQuant, ...]:
        """Of an Add, Mul or their like."""
        node, constants = self._nodes[known.tensors[0]], self.calibrated.network.constants
        others = [self.by_tensor[name] for name in node.inputs if name in self.by_tensor]
        signed = any(self.act(other, on).format.signed for other in others)
        key = known, signed
        if key not in self._store.operands:
            names = coded_operands(node, constants)
            self._store.operands[key] = tuple(operand_quant(constants[name], signed=signed) for name in names)
        return self._store.operands[key]

    def _float(self, name: str) -> tuple[Floats, ...]:
        """Weights and bias, or operands, in float."""
        node, constants = self._nodes[name], self.calibrated.network.constants
        if not self._is_product(name):
            return tuple(constants[operand].astype(np.float32) for operand in coded_operands(node, constants))
        bias = bias_of(node, constants)
        real = self._no_bias(name) if bias is None else bias.astype(np.float32)
        return constants[node.inputs[1]].astype(np.float32), real

    def _no_bias(self, name: str) -> Floats:
        """A zero for every output channel."""
        node = self._nodes[name]
        return np.zeros(len(units_first(node, self.calibrated.network.constants[node.inputs[1]])), np.float32)


def _group(place: Group | OnnxNode) -> Group:
    assert isinstance(place, Group)
    return place
