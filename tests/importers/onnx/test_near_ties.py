"""Codes next to a tie: exact where ONNX Runtime's order of operations tells them, named where its polynomials leave them open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.importers import load_graph
from accelsim.importers.onnx.functions import ACCURACIES
from tests.importers.onnx.models import Net
from tests.importers.onnx.runtime import differences, save
from tests.importers.onnx.vector_models import Comparison, compared, net_of, operator

pytestmark = pytest.mark.oracle
KINDS = pytest.mark.parametrize("kind", ["uint8", "int8"])
OTHER_FORMS: dict[str, dict[str, Any]] = {"FastGelu": {"approximate": "tanh"}, "Elu": {"alpha": 2.5}}
NETWORKS = 40


def _of_function(op: str, seed: int, kind: str, folder: Path) -> Comparison:
    """Every code, at places of whole vectors and in their rest; powers of two as scales, whose ratios make ties."""
    net = net_of(seed, kind, pot=True)
    low = np.iinfo(kind).min
    codes = np.resize(np.roll(np.arange(low, low + 256), seed), 263).astype(kind)
    x = net.input(codes.shape)
    operator(net, "Gelu" if op == "FastGelu" else op, x, net.act(x.shape), **OTHER_FORMS.get(op, {}))
    return compared([net], folder, feeds=[{"x0": codes}])


@KINDS
@pytest.mark.parametrize("op", ACCURACIES)
def test_a_function_is_exact_or_named(op: str, kind: str, tmp_path: Path) -> None:
    named = 0
    for seed in range(NETWORKS):
        result = _of_function(op, seed, kind, tmp_path)
        assert result.graph is not None
        named += bool(result.graph.approximations)
        assert result.most <= 1
        assert result.differing == 0 or result.graph.approximations, seed
    assert named < NETWORKS * (0.5 if op == "Mish" else 0.2), "most networks lie clear of ties"


@KINDS
@pytest.mark.parametrize("op", ["Erf", "Tanh", "Sigmoid", "Gelu"])
def test_a_function_of_known_operations_is_exact(op: str, kind: str, tmp_path: Path) -> None:
    for seed in range(NETWORKS):
        result = _of_function(op, seed, kind, tmp_path)
        assert result.graph is not None
        assert not result.graph.approximations
        assert result.differing == 0, seed


@KINDS
def test_mish_needs_its_name(kind: str, tmp_path: Path) -> None:
    """x * tanh(softplus(x)) of 5 to 10 is nearly x, and half of those numbers are ties where the scale doubles."""
    differing = named = 0
    for seed in range(100):
        result = _of_function("Mish", seed, kind, tmp_path)
        assert result.graph is not None
        differing += result.differing
        for sentence in (s for each in result.graph.approximations.values() for s in each):
            assert "so near to a tie that they may differ by one" in sentence
            named += 1
    assert differing > 0
    assert 0 < named < 60


@KINDS
@pytest.mark.parametrize(
    "chain", [("Softplus", "Tanh"), ("Neg", "Sigmoid", "Abs"), ("Exp", "Neg", "Exp")], ids="-".join
)
def test_a_chain_of_functions_is_exact_or_named(chain: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    named = 0
    for seed in range(NETWORKS):
        net = net_of(seed, kind, pot=True)
        x = net.input((256,))
        name = net.real(x)
        for i, op in enumerate(chain):
            net.node(op, [name], f"f{i}")
            name = f"f{i}"
        net.quantized(name, net.act(x.shape))
        low = np.iinfo(kind).min
        result = compared([net], tmp_path, feeds=[{"x0": np.arange(low, low + 256).astype(kind)}])
        assert result.graph is not None
        named += bool(result.graph.approximations)
        assert result.differing == 0 or (result.graph.approximations and result.most <= 1), seed
    assert named < NETWORKS // 2


def test_another_arithmetic_keeps_its_exact_table(tmp_path: Path) -> None:
    net = net_of(1, "int8", pot=True)
    net.unary("Mish", net.input((256,)))
    path = save(net.model(), tmp_path)
    assert not load_graph(path, arithmetic="finn").approximations


@KINDS
@pytest.mark.parametrize("qdq", [False, True], ids=["qoperator", "qdq"])
@pytest.mark.parametrize("constant", ["left", "right", ""])
def test_a_sum_of_one_code_and_one_code(constant: str, qdq: bool, kind: str, tmp_path: Path) -> None:
    """Scales so far apart that the order of the float32 sum shows wherever the larger operand is 0."""
    low = np.iinfo(kind).min
    for seed in range(24):
        net = Net(np.random.default_rng(seed), kind=kind, qdq=qdq)
        pair = [replace(net.input((1, 1)), scale=float(np.float32(59906.1875 * 2.0 ** (-seed / 3))))]
        if constant:
            net.with_number("Add", pair[0], first=constant == "left", shape=(1, 1))
        else:
            pair.append(net.input((1, 1)))
            net.binary("Add", *pair[:: 1 if seed % 2 else -1])
        steps = [low, *range(low + 1, low + 256, 25)]
        feeds = [{"x0": np.full((1, 1), pair[0].zero, kind), "x1": np.full((1, 1), code, kind)} for code in steps]
        feeds = [{f"x{i}": feed[f"x{i}"] for i in range(len(pair))} for feed in feeds[: None if len(pair) > 1 else 1]]
        wrong, _ = differences(net.model(), feeds, tmp_path, int8=kind == "int8")
        assert wrong == {}, (seed, wrong)
