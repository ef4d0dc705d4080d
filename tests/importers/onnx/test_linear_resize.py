"""Resize in mode linear between DequantizeLinear and QuantizeLinear: ONNX Runtime's float32, in its order of operations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import UnsupportedOperatorError
from accelsim.graph import Conv2D, ResizeBilinear
from accelsim.importers import load_graph
from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.runtime import save
from tests.importers.onnx.vector_models import compared, net_of, operator

KINDS = pytest.mark.parametrize("kind", ["uint8", "int8"])
PLACES = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]


def resized(net: Net, x: Act, size: tuple[int, int], *, scales: bool = False, relu: bool = False, **given: Any) -> Act:
    """``x`` to so many rows and columns, by scales or by sizes."""
    shape = (*x.shape[:2], *size)
    ratio = np.array([o / i for o, i in zip(shape, x.shape, strict=True)], np.float32)
    extra = ["", net.const(ratio, np.float32)] if scales else ["", "", net.const(shape, np.int64)]
    y = net.act(shape, like=x if net.rng.random() < 0.3 else None)
    if relu:
        net.node("Resize", [net.real(x), *extra], f"{y.name}_r", mode="linear", **given)
        net.node("Relu", [f"{y.name}_r"], f"{y.name}_o")
        return net.quantized(f"{y.name}_o", y)
    return operator(net, "Resize", x, y, extra, mode="linear", **given) and y


@pytest.mark.oracle
@KINDS
@pytest.mark.parametrize("place", PLACES)
def test_every_code_is_onnxruntimes(place: str, kind: str, tmp_path: Path) -> None:
    """Up and down, to one row and from one; powers of two as scales, whose halves are ties."""
    nets = []
    for seed in range(24):
        net = net_of(seed, kind, pot=seed % 2 == 0)
        x = net.input((2, int(net.rng.integers(1, 4)), *(int(i) for i in net.rng.integers(1, 12, 2))))
        size = int(net.rng.integers(1, 25)), int(net.rng.integers(1, 25))
        twice = seed % 6 == 1
        resized(
            net, x, (2 * x.shape[2], 2 * x.shape[3]) if twice else size, scales=twice, relu=seed % 4 == 3,
            coordinate_transformation_mode=place,
        )  # fmt: skip
        nets.append(net)
    result = compared(nets, tmp_path)
    assert result.compared > 10_000
    assert result.differing == 0
    assert result.graph is not None
    assert [type(layer) for layer in result.graph.layers] == [ResizeBilinear]
    assert not result.graph.approximations


@pytest.mark.oracle
@KINDS
def test_between_convolutions(kind: str, tmp_path: Path) -> None:
    """As a decoder has it: the runtime's optimizer may turn what stands around it to channels last."""
    nets = []
    for seed in range(6):
        net = net_of(seed, kind, narrow_weights=kind == "uint8")
        y = net.conv(net.input((1, 4, 7, 6)), 8, 3)
        net.conv(resized(net, y, (2 * y.shape[2], 2 * y.shape[3])), 5, 1)
        nets.append(net)
    result = compared(nets, tmp_path)
    assert result.differing == 0
    assert result.graph is not None
    assert [type(layer) for layer in result.graph.layers] == [Conv2D, ResizeBilinear, Conv2D]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "linear", "antialias": 1}, "its attribute antialias is 1; accepted: 0 in this form"),
        ({"mode": "linear", "exclude_outside": 1}, "its attribute exclude_outside is 1; accepted: 0 in this form"),
        ({"mode": "cubic"}, "its mode is 'cubic'; accepted: nearest, linear"),
        (
            {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"},
            "its coordinate_transformation_mode is 'tf_crop_and_resize'",
        ),
    ],
)
def test_other_forms_are_refused(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    net = net_of(0, "int8")
    x = net.input((1, 2, 3, 3))
    operator(net, "Resize", x, net.act((1, 2, 6, 6)), ["", "", net.const([1, 2, 6, 6], np.int64)], **given)
    with pytest.raises(UnsupportedOperatorError, match=message):
        load_graph(save(net.model(), tmp_path), arithmetic="onnxruntime")


def test_of_codes_themselves_and_by_other_arithmetics_it_is_refused(tmp_path: Path) -> None:
    net = replace(net_of(0, "int8"), qdq=False)
    net.move(
        "Resize", net.input((1, 2, 3, 3)), (1, 2, 6, 6), ["", "", net.const([1, 2, 6, 6], np.int64)], mode="linear"
    )
    with pytest.raises(
        UnsupportedOperatorError, match="it is linear and of codes; accepted: a DequantizeLinear before"
    ):
        load_graph(save(net.model(), tmp_path))
    net = net_of(0, "int8")
    resized(net, net.input((1, 2, 3, 3)), (6, 6))
    with pytest.raises(UnsupportedOperatorError, match="the arithmetic tflite-micro has no rule for a linear Resize"):
        load_graph(save(net.model(), tmp_path), arithmetic="tflite-micro")
