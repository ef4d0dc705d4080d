"""A step of the ablation, the pair of layers that it is about, and when two parameters are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Layer, Tensor
from accelsim.numerics import Family, Requant
from accelsim.verification.readings.exact import double_rounding_rate
from accelsim.verification.readings.linear import is_linear
from accelsim.verification.readings.machine import Machine

Array = NDArray[Any]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Step:
    """The codes after one more rule is the machine's; ``expected`` is the share that the rule moves, where a law is known."""

    key: str
    text: str
    codes: Array
    expected: float | None = None


@dataclass(frozen=True, eq=False)
class Pair:
    """One layer of the reference and of the machine, with the codes that feed both; ``is_float``: the oracle computes in floats."""

    reference: Layer
    mine: Layer
    reference_tensors: Tensors
    machine: Machine
    is_float: bool
    rule: str

    @property
    def tensors(self) -> Tensors:
        """Those of the machine's graph."""
        return self.machine.graph.tensors

    @property
    def is_linear(self) -> bool:
        """Whether both are the same kind of sum and multiplication."""
        same = type(self.reference) is type(self.mine)
        return same and is_linear(self.reference) and is_linear(self.mine)


def same(a: Any, b: Any) -> bool:
    """Equality of parameters, arrays and requantizations included."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and bool(np.array_equal(a, b))
    if isinstance(a, Requant) and isinstance(b, Requant):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    return bool(a == b)


def shares_parameters(a: Requant, b: Requant) -> bool:
    """Whether multiplier and shift mean the same in both schemes."""
    return a.scheme == b.scheme or (a.rule.encoder is b.rule.encoder and a.rule.family is Family.INTEGER)


def expected_rate(requant: Requant) -> float | None:
    return double_rounding_rate(requant.shift) if requant.rule.is_doubled else None
