"""Shares of a layer: together they are the layer, none is larger than it must be, and the split is the one asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.graph import Concat, MacGeometry, VectorLayer
from accelsim.graph.row_layers import LayerNorm
from accelsim.hardware import OperandBits
from accelsim.program.mapping import MacMapping
from accelsim.program.split import mac_shares, vector_shares
from tests.built import computed, one_layer

BYTES = OperandBits(weight=8, activation=8, output=8)
EDGE = load_arch("edge_16x16")
relaxed = settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))


def cores(count: int, split: str = "auto", **edits: object) -> Arch:
    return EDGE.with_({"cores.count": count, "cores.split": split, **edits})


@st.composite
def geometries(draw: st.DrawFn) -> MacGeometry:
    """Strides, dilation, padding on both sides, transposed convolution, groups."""
    groups, upsample = draw(st.sampled_from([1, 1, 2, 5])), draw(st.sampled_from([1, 1, 2]))
    return MacGeometry(
        n=draw(st.integers(1, 2)), ih=draw(st.integers(1, 9)), iw=draw(st.integers(1, 4)), ic=groups * draw(st.integers(1, 3)),
        oh=draw(st.integers(1, 9)), ow=draw(st.integers(1, 3)), oc=groups * draw(st.integers(1, 7)), kh=draw(st.integers(1, 3)),
        kw=draw(st.integers(1, 2)), stride_h=draw(st.integers(1, 3)), dilation_h=draw(st.integers(1, 2)),
        pad_top=draw(st.integers(-1, 3)), pad_left=draw(st.integers(0, 1)), upsample_h=upsample, groups=groups,
    )  # fmt: skip


def boxes_of(g: MacGeometry, mapping: MacMapping, arch: Arch) -> list[object]:
    """(output, weights, input) of every tile on all cores."""
    return [(tile.output, tile.weights, tile.inputs) for tile in computed(one_layer(g, mapping, arch))]


@relaxed
@given(geometries(), st.integers(1, 7), st.sampled_from(["auto", "channels", "rows"]))
def test_single_outputs_read_the_same_whoever_computes_them(g: MacGeometry, count: int, split: str) -> None:
    """Cut into one row and one channel, all shares' tiles are the layer's, each once: outputs, weights and inputs."""
    single = MacMapping(oh=1, ow=1, oc=1, ic=1, kh=1, kw=1)
    assert sorted(boxes_of(g, single, cores(count, split))) == sorted(boxes_of(g, single, EDGE))


@relaxed
@given(geometries(), st.integers(1, 7), st.sampled_from(["channels", "rows"]))
def test_shares_are_as_even_as_can_be_and_the_first_is_the_largest(g: MacGeometry, count: int, split: str) -> None:
    shares = mac_shares(g, bits=BYTES, arch=cores(count, split))
    units = g.oh if split == "rows" else g.groups if g.groups > 1 else g.oc
    macs = [share.geometry.macs for share in shares]
    assert [share.core for share in shares] == list(range(min(count, units)))
    assert macs == sorted(macs, reverse=True)
    assert macs[0] - macs[-1] in (0, g.macs // units)
    assert sum(macs) == g.macs


def test_one_core_has_the_whole_layer() -> None:
    g = MacGeometry(n=1, ih=8, iw=8, ic=4, oh=8, ow=8, oc=12)
    for split in ("auto", "channels", "rows"):
        (share,) = mac_shares(g, bits=BYTES, arch=cores(1, split))
        assert (share.geometry, share.begin, share.core) == (g, (0, 0, 0, 0), 0)


def test_what_cannot_be_split_stays_on_core_0() -> None:
    g = MacGeometry(n=1, ih=1, iw=1, ic=64, oh=1, ow=1, oc=32)
    assert [share.core for share in mac_shares(g, bits=BYTES, arch=cores(4, "rows"))] == [0]
    assert len(mac_shares(g, bits=BYTES, arch=cores(4, "channels"))) == 4


def test_auto_takes_the_split_that_moves_less_where_the_port_decides() -> None:
    """Channels repeat the activations, rows the weights; behind a slow DRAM the smaller of both is repeated."""
    slow = cores(2, "auto", **{"dram.bandwidth_bytes_per_s": 10**6})
    weights = MacGeometry(n=1, ih=4, iw=4, ic=64, oh=4, ow=4, oc=64)
    activations = replace(weights, ih=64, iw=64, oh=64, ow=64)
    assert [share.geometry.oc for share in mac_shares(weights, bits=BYTES, arch=slow)] == [32, 32]
    assert [share.geometry.oh for share in mac_shares(activations, bits=BYTES, arch=slow)] == [32, 32]


def test_auto_takes_the_split_that_fills_the_array_where_that_decides() -> None:
    """16 channels fill 16 columns: two cores with 8 each take as long as one, two with half of the rows half as long."""
    g = MacGeometry(n=1, ih=256, iw=16, ic=16, oh=256, ow=16, oc=16)
    fast = cores(2, "auto", **{"dram.bandwidth_bytes_per_s": 10**13})
    assert [share.geometry.oh for share in mac_shares(g, bits=BYTES, arch=fast)] == [128, 128]
    wide = replace(g, ih=1, iw=1, oh=1, ow=1, oc=4096)
    assert [share.geometry.oc for share in mac_shares(wide, bits=BYTES, arch=fast)] == [2048, 2048]


def vector(shape: tuple[int, ...]) -> VectorLayer:
    return Concat(name="c", inputs=("x",), output="y", shapes=(shape,), shape=shape, axis=0)


@pytest.mark.parametrize(
    ("shape", "count", "expected"),
    [
        ((1, 8, 4, 6), 3, [((0, 0, 0, 0), (1, 3, 4, 6)), ((0, 3, 0, 0), (1, 3, 4, 6)), ((0, 6, 0, 0), (1, 2, 4, 6))]),
        ((1, 1, 1, 5), 2, [((0, 0, 0, 0), (1, 1, 1, 3)), ((0, 0, 0, 3), (1, 1, 1, 2))]),
        ((2, 3), 8, [((0, 0), (2, 1)), ((0, 1), (2, 1)), ((0, 2), (2, 1))]),
        ((), 4, [((), ())]),
        ((1, 1), 4, [((0, 0), (1, 1))]),
    ],
)
def test_vector_layers_are_cut_along_their_first_long_axis(shape: tuple[int, ...], count: int, expected: list) -> None:
    shares = vector_shares(vector(shape), cores(count))
    assert [(share.begin, share.shape) for share in shares] == expected
    assert [share.core for share in shares] == list(range(len(expected)))


def test_rows_that_belong_together_stay_on_one_core() -> None:
    rows = np.zeros(9, dtype=np.int64)
    layer = LayerNorm(
        name="n", inputs=("x",), output="y", shapes=((1, 1, 9),), shape=(1, 1, 9), multiplier=rows, bias=rows, epsilon=0,
        variance_shift=0, output_shift=1,
    )  # fmt: skip
    assert [share.shape for share in vector_shares(layer, cores(3))] == [(1, 1, 9)]
