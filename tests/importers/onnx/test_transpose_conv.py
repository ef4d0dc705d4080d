"""ConvTranspose between DequantizeLinear and QuantizeLinear: every code equals ONNX Runtime's where scales are powers of two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import ModelError
from accelsim.graph import TransposeConv2D
from accelsim.importers import load_graph
from accelsim.importers.onnx.lower.reduce import APPROXIMATION
from tests.importers.onnx.integer_models import IntegerNet
from tests.importers.onnx.runtime import differences, run_graph, runtime, save

pytestmark = pytest.mark.oracle
KINDS = pytest.mark.parametrize("kind", ["uint8", "int8"])
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "strided": {"strides": [2, 3]},
    "pads": {"strides": [2, 2], "pads": [1, 0, 2, 1]},
    "pads wider than the kernel": {"strides": [3, 2], "pads": [4, 3, 0, 1]},
    "output_padding": {"strides": [3, 2], "output_padding": [2, 1]},
    "output_padding and pads": {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    "same upper": {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same lower": {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
    "same with output_padding": {"strides": [2, 3], "auto_pad": "SAME_UPPER", "output_padding": [1, 1]},
    "valid": {"strides": [2, 1], "auto_pad": "VALID"},
    "output_shape": {"strides": [2, 2], "output_shape": [8, 9]},
    "output_shape upper": {"strides": [2, 2], "output_shape": [8, 9], "auto_pad": "SAME_UPPER"},
    "output_shape lower": {"strides": [2, 2], "output_shape": [8, 9], "auto_pad": "SAME_LOWER", "output_padding": [1, 0]},
}  # fmt: skip


def net_of(seed: int, form: dict[str, Any], kind: str = "uint8", **options: Any) -> tuple[IntegerNet, str]:
    """A network of one transposed convolution of a 4 x 5 image with a 3 x 4 kernel; its float result."""
    groups, pot = options.pop("groups", 1), options.pop("pot", True)
    net = IntegerNet(
        np.random.default_rng(seed), kind=kind, weight_kind=options.pop("weight_kind", "int8"), qdq=True, pot=pot
    )
    x = net.input((2, 6, 4, 5))
    return net, net.transposed(x, options.pop("oc", 6), (3, 4), groups=groups, **options, **form)


def finished(net: IntegerNet, name: str) -> Any:
    """The model with a QuantizeLinear at its end, whose scale is neither too fine nor too coarse."""
    from onnx import shape_inference

    value = next(v for v in shape_inference.infer_shapes(net.model()).graph.value_info if v.name == name)
    shape = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    net.quantized(name, net.act(shape, scale=1.0 if net.pot else 0.4371))
    return net.model()


@KINDS
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_geometries(groups: int, form: dict[str, Any], kind: str, tmp_path: Path) -> None:
    """Groups of 6, 3 and 1 channels; a scale per channel, a bias, and weights with zero points in turn."""
    for seed, options in enumerate(({}, {"per_channel": True, "bias": True}, {"weight_kind": "uint8", "bias": True})):
        net, name = net_of(seed, form, kind, groups=groups, **options)
        wrong, compared = differences(finished(net, name), net.random_feeds(), tmp_path, int8=kind == "int8")
        assert compared > 100
        assert wrong == {}, (seed, wrong)


def test_a_multiplier_of_channels(tmp_path: Path) -> None:
    """Every group has one input channel and two output channels, which share scales across groups."""
    net, name = net_of(4, {"strides": [2, 2]}, groups=6, oc=12, per_channel=True, bias=True)
    model = finished(net, name)
    wrong, _ = differences(model, net.random_feeds(), tmp_path)
    assert wrong == {}
    (layer,) = load_graph(save(model, tmp_path)).layers
    assert isinstance(layer, TransposeConv2D)
    assert (layer.geometry.groups, layer.geometry.oc, layer.geometry.ic_per_group) == (6, 12, 1)


@pytest.mark.parametrize("groups", [1, 2])
def test_other_scales_differ_at_near_ties_alone(groups: int, tmp_path: Path) -> None:
    """The runtime adds float32 products: a code may differ where the exact sum is within its rounding errors of a tie."""
    compared = near = 0
    for seed in range(8):
        net, name = net_of(seed, {"strides": [2, 2]}, groups=groups, pot=False, bias=True)
        model, (feed,) = finished(net, name), net.random_feeds()
        graph = load_graph(save(model, tmp_path))
        (layer,) = graph.layers
        assert graph.approximations == {layer.name: (APPROXIMATION,)}
        ours, (theirs,) = run_graph(graph, feed)[layer.output], runtime(model, int8=False).run(None, feed)
        for place in np.argwhere(ours != theirs):
            real = exact(model, feed, tuple(place), graph)
            assert abs(abs(real - np.floor(real)) - 0.5) < 1e-4, real
            near += 1
        compared += theirs.size
    assert compared > 10_000
    assert near <= compared // 1000


def exact(model: Any, feed: dict[str, Any], place: tuple[int, ...], graph: Any) -> float:
    """Output over its scale, in double precision, at one place: from the layer's own integers."""
    (layer,) = graph.layers
    n, o, y, x = place
    g = layer.geometry
    image = feed["x0"].astype(np.int64) - layer.input_zero_point
    depth = g.ic_per_group
    first = o // g.oc_per_group * depth
    total = int(layer.bias[o])
    for i in range(g.kh):
        for j in range(g.kw):
            (row, r), (column, c) = divmod(y - g.pad_top + i, g.upsample_h), divmod(x - g.pad_left + j, g.upsample_w)
            if r == c == 0 and 0 <= row < g.ih and 0 <= column < g.iw:
                total += int(image[n, first : first + depth, row, column] @ layer.weights[o, i, j].astype(np.int64))
    return total * float(layer.requant.multiplier[0])


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "dilations": ({"dilations": [2, 1]}, "its dilations are (2, 1); accepted: dilations of 1"),
    "output_padding": ({"output_padding": [1, 0]}, "output_padding smaller than the stride"),
    "strides": ({"strides": [0, 1]}, "strides of at least 1"),
    "negative pads": ({"pads": [-1, 0, 0, 0]}, "pads and output_padding of at least 0"),
    "all cut off": ({"pads": [3, 0, 3, 0]}, "its pads leave an output of 0"),
    "too large": ({"output_shape": [7, 8]}, "its output of 7 is more than the 6 that its input reaches"),
    "same beyond the kernel": ({"strides": [4, 1], "auto_pad": "SAME_UPPER"}, "its output of 16 is more than the 15"),
    "auto_pad": ({"auto_pad": "SAME"}, "its auto_pad is 'SAME'"),
    "kernel_shape": ({"kernel_shape": [4, 3]}, "its kernel_shape is not its weights'"),
    "group": ({"group": 4}, "in 4 groups over 6 input channels"),
    "no group": ({"group": 0}, "in 0 groups over 6 input channels"),
    "strides of three": ({"strides": [1, 1, 1]}, "expected 2 integers"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str, tmp_path: Path) -> None:
    form, reason = REFUSALS[case]
    group = form.get("group")
    net, name = net_of(0, {k: v for k, v in form.items() if k != "group"})
    net.quantized(name, net.act((2, 6, 6, 8), scale=0.5))
    model = net.model()
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "group" and group is not None:
                attribute.i = group
    with pytest.raises(ModelError) as caught:
        load_graph(save(model, tmp_path))
    assert reason.replace("expected 2 integers", "2 integers") in str(caught.value)
    assert "ConvTranspose" in str(caught.value)


def test_weights_that_are_computed(tmp_path: Path) -> None:
    net = IntegerNet(np.random.default_rng(0), qdq=True)
    x, w = net.input((1, 2, 4, 4)), net.input((2, 3, 3, 3))
    net.node("ConvTranspose", [net.real(x), net.real(w)], "u")
    net.quantized("u", net.act((1, 3, 6, 6)))
    with pytest.raises(ModelError, match="are not dequantized from a constant"):
        load_graph(save(net.model(), tmp_path))
