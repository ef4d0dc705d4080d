"""The mapper always finds a tiling where one exists, and says what is missing where none does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.errors import MappingError
from accelsim.graph import Graph, HostPort, MacGeometry, Softmax, Tensor
from accelsim.mapper import map_graph
from accelsim.numerics import INT8
from accelsim.program import MacMapping, check_program
from tests.networks import Conv2D, conv, dense, single

SMALLEST = {
    "weight_buffer.size_bytes": 2,
    "activation_buffer.size_bytes": 2,
    "output_buffer.size_bytes": 2,
    "accumulator.count": 2,
}


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_one_byte_per_slot_is_enough(k: int, ic: int, oc: int, extra: int) -> None:
    graph = conv(size=k + extra, ic=ic, oc=oc, k=k)
    arch = load_arch("edge_16x16").with_(SMALLEST)
    mappings = map_graph(graph, arch=arch)
    assert mappings[0] == MacMapping(oh=1, ow=1, oc=1, ic=1, kh=1, kw=1, groups=1, order=mappings[0].order)
    check_program(build_program(graph, arch=arch, mappings=mappings))


@pytest.mark.parametrize(
    ("path", "label", "missing"),
    [
        ("weight_buffer", "weight buffer", 1),
        ("activation_buffer", "activation buffer", 1),
        ("output_buffer", "output buffer", 1),
    ],
)
def test_int16_needs_two_bytes(path: str, label: str, missing: int) -> None:
    """With one byte per slot a 16-bit element does not fit, and the message says which buffer lacks how much."""
    from dataclasses import replace

    from accelsim.numerics import INT16

    graph = conv()
    wide = {name: replace(tensor, format=INT16) for name, tensor in graph.tensors.items()}
    layer = replace(graph.layers[0], weight_format=INT16)
    graph = Graph(
        name="wide",
        arithmetic="tflite-micro",
        tensors=wide,
        layers=(layer,),
        inputs=graph.inputs,
        outputs=graph.outputs,
    )
    arch = load_arch("edge_16x16").with_({f"{path}.size_bytes": 2})
    with pytest.raises(
        MappingError, match=f"needs 2 bytes of the {label}, one slot has 1, {missing} bytes too few"
    ) as caught:
        map_graph(graph, arch=arch)
    assert caught.value.data == {"layer": "layer", "memory": label, "missing": missing}


def test_softmax_rows_cannot_be_cut() -> None:
    layer = Softmax(name="softmax", inputs=("x",), output="y", shapes=((3, 1000),), shape=(3, 1000))
    tensors = {name: Tensor(name, (3, 1000), INT8) for name in "xy"}
    ports = tuple((HostPort(name, name),) for name in "xy")
    graph = Graph(
        name="s", arithmetic="tflite-micro", tensors=tensors, layers=(layer,), inputs=ports[0], outputs=ports[1]
    )
    arch = load_arch("edge_16x16").with_({"output_buffer.size_bytes": 1200})
    with pytest.raises(MappingError, match=r"softmax.*400 bytes too large for one slot of the output buffer"):
        map_graph(graph, arch=arch)
    assert map_graph(graph, arch=load_arch("edge_16x16"))[0].tile[1] == 1000


def test_double_buffering_halves_a_slot() -> None:
    graph = dense(rows=1, k=1000, units=1)
    fast = {"dram.bandwidth_bytes_per_s": 10**15, "dram.latency_ns": 0.0, "weight_buffer.size_bytes": 1000}
    arch = load_arch("edge_16x16").with_(fast)
    assert map_graph(graph, arch=arch)[0].ic <= 500
    assert map_graph(graph, arch=arch.with_({"weight_buffer.double_buffered": False}))[0].ic == 1000


def test_everything_fits_means_one_tile() -> None:
    mapping = map_graph(conv(size=12, ic=16, oc=16), arch=load_arch("scalesim_32x32_ws"))[0]
    assert (mapping.oh, mapping.ow, mapping.oc) == (10, 10, 16)


def test_less_traffic_wins_among_equally_fast_tilings() -> None:
    """The whole reduction fits, so inputs are read little more than once per channel tile."""
    geometry = MacGeometry(n=1, ih=56, iw=56, ic=64, oh=56, ow=56, oc=256, kh=3, kw=3, pad_top=1, pad_left=1)
    mapping = map_graph(single(Conv2D, geometry), arch=load_arch("edge_16x16"))[0]
    assert (mapping.ic, mapping.kh, mapping.kw) == (64, 3, 3)
