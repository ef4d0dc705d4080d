"""Bounds on accumulators: never exceeded, and reached by the worst inputs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.arch import load_arch
from accelsim.execute import accumulator_formats, prove, prove_graph
from accelsim.graph import Conv2D, MacGeometry
from accelsim.numerics import INT8, INT16, INT32, UINT8, IntFormat
from tests.kernels.layers import geometries, random_codes, random_layer
from tests.networks import conv, dense

seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=80)


def prefixes(layer: Conv2D, x: np.ndarray, channel: int) -> np.ndarray:
    """Every partial sum of one output of a 1x1 layer over one pixel, bias first."""
    products = layer.weights[channel].astype(np.int64).ravel() * (x.astype(np.int64).ravel() - layer.input_zero_point)
    bias = 0 if layer.bias is None else int(layer.bias[channel])
    return np.cumsum(np.concatenate([[bias], products]))


@relaxed
@given(st.integers(1, 40), st.integers(1, 4), seeds, st.sampled_from([INT8, INT16, UINT8]))
def test_no_prefix_in_any_order_exceeds_the_bound(ic: int, oc: int, seed: int, fmt: IntFormat) -> None:
    rng = np.random.default_rng(seed)
    g = MacGeometry(n=1, ih=1, iw=1, ic=ic, oh=1, ow=1, oc=oc)
    layer, x = random_layer(g, rng, fmt=fmt), random_codes(rng, (ic,), fmt)
    bound = prove(layer, input_format=fmt, accumulator=INT32).bound
    order = rng.permutation(ic)
    object.__setattr__(layer, "weights", layer.weights[..., order])
    assert max(np.abs(prefixes(layer, x[order], channel)).max() for channel in range(oc)) <= bound


def test_the_bound_is_reached() -> None:
    weights = np.array([3, -4, 127], np.int8).reshape(1, 1, 1, 3)
    g = MacGeometry(n=1, ih=1, iw=1, ic=3, oh=1, ow=1, oc=1)
    layer = Conv2D(
        name="l", inputs=("x",), output="y", geometry=g, weights=weights, weight_format=INT8, bias=np.array([-50])
    )
    proof = prove(layer, input_format=INT8, accumulator=INT32)
    assert proof.bound == 134 * 128 + 50
    assert prefixes(layer, np.array([-128, 127, -128]), 0)[-1] == -(130 * 128 + 4 * 127 + 50)


def test_bits_needed_is_the_narrowest_safe_accumulator() -> None:
    layer = conv().layers[0]
    needed = prove(layer, input_format=INT8, accumulator=INT32).bits_needed
    assert prove(layer, input_format=INT8, accumulator=IntFormat(needed)).safe
    assert not prove(layer, input_format=INT8, accumulator=IntFormat(needed - 1)).safe


@relaxed
@given(geometries(), seeds)
def test_the_zero_point_widens_the_reach(g: MacGeometry, seed: int) -> None:
    layer = random_layer(g, np.random.default_rng(seed))
    reach = max(127 - layer.input_zero_point, layer.input_zero_point + 128)
    per_channel = [int(np.abs(w.astype(int)).sum()) * reach for w in layer.weights]
    biases = [0] * g.oc if layer.bias is None else [abs(int(b)) for b in layer.bias]
    expected = max(w + b for w, b in zip(per_channel, biases, strict=True))
    assert prove(layer, input_format=INT8, accumulator=INT32).bound == expected


def test_a_layer_without_weights_is_bounded_by_its_formats() -> None:
    layer = dense(k=10, shape_only=True).layers[0]
    assert prove(layer, input_format=INT8, accumulator=INT32).bound == 10 * 128 * 128


def test_a_network_has_one_proof_per_mac_layer_with_the_machines_accumulators() -> None:
    graph, arch = conv(), load_arch("edge_16x16").with_({"accumulator.bits": 20})
    (proof,) = prove_graph(graph, arch)
    assert proof.layer == "layer"
    assert proof.accumulator == IntFormat(20) == accumulator_formats(graph, arch)["layer"]
    assert proof.safe == (proof.bound < 2**19)
