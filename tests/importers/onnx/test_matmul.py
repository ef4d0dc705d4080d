"""Products of two activations: every code equals ONNX Runtime's, on whole layers and through a Program; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.errors import UnsupportedOperatorError
from accelsim.graph import Dense, MatMul, Transpose
from accelsim.importers import load_graph
from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.runtime import differences, runtime, save

SHAPES = [
    ((7, 12), (12, 9)),
    ((3, 7, 12), (3, 12, 9)),
    ((2, 3, 7, 12), (2, 3, 12, 9)),
    ((1, 4, 6, 8), (1, 4, 8, 6)),
    ((2, 1, 5, 4), (2, 1, 4, 3)),
    ((2, 3, 5, 1), (2, 3, 1, 4)),
    ((3, 7, 12), (12, 9)),
    ((2, 3, 7, 12), (12, 9)),
    ((2, 3, 7, 12), (1, 1, 12, 9)),
    ((2, 2, 1, 3, 4), (2, 2, 1, 4, 5)),
]
KINDS = pytest.mark.parametrize("kinds", [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")], ids="x".join)
FORMS = pytest.mark.parametrize("qdq", [False, True], ids=["qoperator", "qdq"])
SCALES = pytest.mark.parametrize("pot", [False, True], ids=["any", "power-of-two"])


class Products(Net):
    """Networks whose operands have types of their own."""

    kinds: dict[str, str]

    def operand(self, shape: tuple[int, ...], kind: str) -> Act:
        """A graph input of codes of ``kind``; its zero point is any code."""
        self.kind, before = kind, self.kind
        x = self.input(shape)
        self.kinds = {**getattr(self, "kinds", {}), x.name: kind}
        self.kind = before
        return x

    def params(self, act: Act) -> list[str]:
        kind = getattr(self, "kinds", {}).get(act.name, self.kind)
        return [self.const(act.scale, np.float32), self.const(act.zero, kind)]

    def matmul(self, a: Act, b: Act, shape: tuple[int, ...] | None = None) -> Act:
        """A product of two activations."""
        shape = (*a.shape[:-1], b.shape[-1]) if shape is None else shape
        wanted = a.scale * b.scale * 74 * 74 * np.sqrt(a.shape[-1]) * 1.5 / 60
        y = self.act(shape, scale=float(np.float32(2.0 ** round(np.log2(wanted)) if self.pot else wanted)))
        if self.qdq:
            self.node("MatMul", [self.real(a), self.real(b)], f"{y.name}_m")
            return self.quantized(f"{y.name}_m", y)
        self.node("QLinearMatMul", [a.name, *self.params(a), b.name, *self.params(b), *self.params(y)], y.name)
        return y

    def codes(self, name: str, reach: int) -> Any:
        """Codes of a graph input, within ``reach`` of 0 where they are signed."""
        shape, kind = self.feeds[name]
        info = np.iinfo(kind)
        low, high = (-reach, reach) if kind == "int8" else (0, info.max + 1)
        return self.rng.integers(low, high, shape).astype(kind)


@pytest.mark.oracle
@FORMS
@KINDS
@SCALES
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_products_of_two_activations(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], pot: bool, kinds: tuple[str, str], qdq: bool, tmp_path: Path
) -> None:
    """int8 codes beside uint8 ones stay within 7 bits: MLAS adds pairs of such products in 16 bits (see test_oracle.py)."""
    for seed in range(3):
        net = Products(np.random.default_rng(seed), kind=kinds[0], qdq=qdq, pot=pot)
        a, b = net.operand(shapes[0], kinds[0]), net.operand(shapes[1], kinds[1])
        net.matmul(a, b)
        reach = 64 if kinds == ("uint8", "int8") else 128
        feeds = [{name: net.codes(name, reach) for name in net.feeds} for _ in range(2)]
        wrong, compared = differences(net.model(), feeds, tmp_path, int8=kinds[0] == "int8")
        assert (
            compared == 2 * np.prod(np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2])) * shapes[0][-2] * shapes[1][-1]
        )
        assert wrong == {}, (seed, wrong)
