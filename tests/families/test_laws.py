"""How multiply-accumulates must follow the parameters; what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accelsim
from accelsim import workload
from accelsim.errors import ConfigError
from accelsim.explore import batched
from accelsim.families import FAMILIES, PARAMETERS, workload_text
from accelsim.graph import Graph, MacLayer, MatMul
from accelsim.importers import load_graph

few = settings(max_examples=25, deadline=None)
DECODERS = [name for name, member in FAMILIES.items() if "kv_bits" in member.defaults]
IMAGES = [name for name, member in FAMILIES.items() if "width_multiplier" in member.defaults]
every = pytest.mark.parametrize("name", FAMILIES)


def matmuls(graph: Graph) -> int:
    return sum(layer.macs for layer in graph.layers if isinstance(layer, MatMul))


def linear(graph: Graph) -> int:
    return graph.macs - matmuls(graph)


def small(name: str, **others: Any) -> Graph:
    """A network of a family, of a few layers where it may have them."""
    short = {"layers": 2, "context": 24, "sequence_length": 24}
    return workload(name, **{key: value for key, value in short.items() if key in FAMILIES[name].defaults} | others)


@every
def test_a_batch_is_what_evaluate_makes_of_one_image(name: str) -> None:
    three, other = small(name, batch=3), batched(small(name), 3)
    mac = [(a.geometry, b.geometry) for a, b in zip(three.layers, other.layers, strict=True) if isinstance(a, MacLayer)]
    assert all(a == b for a, b in mac)
    assert [three.tensors[x.output].elements for x in three.layers] == [
        other.tensors[x.output].elements for x in other.layers
    ]
    assert [x.inputs for x in three.layers] == [x.inputs for x in other.layers]
    assert three.macs == 3 * small(name).macs


@pytest.mark.parametrize("name", DECODERS)
@given(context=st.integers(2, 600), layers=st.integers(1, 5))
@few
def test_decoders(name: str, context: int, layers: int) -> None:
    """A token's dense layers know no context, its attention is proportional to it; prefill does a token's work for each."""
    step, one = workload(name, context=context, layers=layers), workload(name, context=1, layers=1)
    head = next(layer for layer in one.layers if layer.name == "vocabulary").macs
    assert matmuls(step) == context * layers * matmuls(one)
    assert linear(step) - head == layers * (linear(one) - head)
    whole = workload(name, context=context, layers=layers, phase="prefill")
    assert matmuls(whole) == context * matmuls(step)
    assert linear(whole) - head == context * (linear(step) - head)


@given(heads=st.sampled_from([1, 2, 4, 8]), factor=st.integers(2, 5))
@few
def test_the_width_of_a_transformer_counts_twice_in_dense_layers_once_in_attention(heads: int, factor: int) -> None:
    narrow = workload("bert_base", layers=1, width=64, heads=heads, sequence_length=16)
    wide = workload("bert_base", layers=1, width=64 * factor, heads=heads, sequence_length=16)
    assert linear(wide) == factor**2 * linear(narrow)
    assert matmuls(wide) == factor * matmuls(narrow)
    assert matmuls(narrow) == 2 * 16 * 16 * 64


@given(kv_heads=st.sampled_from([1, 2, 4, 8]))
@few
def test_shared_keys_spare_projections_and_cache_but_no_products(kv_heads: int) -> None:
    size = {"layers": 1, "width": 64, "heads": 8, "feed_forward": 16, "vocabulary": 10, "context": 40}
    shared, own = workload("llama2_7b", kv_heads=kv_heads, **size), workload("llama2_7b", kv_heads=8, **size)
    assert matmuls(shared) == matmuls(own) == 2 * 40 * 64
    assert linear(own) - linear(shared) == 2 * 64 * 8 * (8 - kv_heads)
    assert shared.tensors["layer0.scores.right"].elements == kv_heads * 8 * 40


@pytest.mark.parametrize("name", IMAGES)
def test_convolutions_follow_the_pixels(name: str) -> None:
    """Sides of 64 and 128 pixels are divided without rest by all strides; dense layers see no pixels."""

    def pixels(graph: Graph) -> int:
        return sum(x.macs for x in graph.layers if isinstance(x, MacLayer) and x.operator != "FULLY_CONNECTED")

    assert pixels(workload(name, resolution=128)) == 4 * pixels(workload(name, resolution=64))
    assert workload(name, resolution=128).weight_bytes == workload(name, resolution=64).weight_bytes


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v1"])
def test_twice_the_channels_are_four_times_the_products_but_at_the_ends(name: str) -> None:
    """Where a convolution has as many groups as channels, at its first layer and at its classifier they are twice."""
    one, two = workload(name), workload(name, width_multiplier=2.0)
    for a, b in zip(one.layers, two.layers, strict=True):
        if isinstance(a, MacLayer):
            end = a is one.layers[0] or a.name == "fc" or a.operator == "DEPTHWISE_CONV_2D"
            assert b.macs == (2 if end else 4) * a.macs, a.name


@pytest.mark.parametrize("name", IMAGES)
@given(width=st.floats(0.05, 3), resolution=st.integers(32, 300), batch=st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_any_width_and_side_is_a_network(name: str, width: float, resolution: int, batch: int) -> None:
    graph = workload(name, width_multiplier=width, resolution=resolution, batch=batch)
    channels = {x.geometry.oc for x in graph.layers if isinstance(x, MacLayer) and x.name not in ("fc",)}
    assert min(channels) >= 8
    assert name == "mobilenet_v1" or all(x % 8 == 0 for x in channels)


@every
def test_a_file_is_the_graph(tmp_path: Any, name: str) -> None:
    path = tmp_path / f"{name}.csv"
    path.write_text(workload_text(name), encoding="utf-8")
    there, made = load_graph(path), workload(name)
    assert list(made.tensors.items()) == list(there.tensors.items())
    assert list(made.inputs) == list(there.inputs)
    assert list(made.outputs) == list(there.outputs)
    assert [str(vars(x)) for x in made.layers] == [str(vars(x)) for x in there.layers]
    assert made.name == there.name == name


@every
def test_widths_are_those_of_every_layer(name: str) -> None:
    graph = small(name, weight_bits=4, activation_bits=16)
    assert {t.format.bits for t in graph.tensors.values()} == {16}
    bits = {(isinstance(x, MatMul), x.weight_format.bits) for x in graph.layers if isinstance(x, MacLayer)}
    assert bits <= {(False, 4), (True, 16)}


def test_every_parameter_is_of_some_network_and_every_network_has_its_own() -> None:
    assert set(PARAMETERS) == {name for member in FAMILIES.values() for name in member.defaults}
    for name, member in FAMILIES.items():
        assert workload(name, **member.defaults).macs == workload(name).macs


@pytest.mark.parametrize(
    ("name", "chosen", "said"),
    [
        ("gpt2_smal", {}, "workload 'gpt2_smal': no such network; .*; did you mean 'gpt2_small'"),
        ("gpt2_small", {"contex": 3}, "workload gpt2_small: it has no parameter 'contex'; it has .*; did you mean 'context'"),
        ("resnet18", {"version": "v1"}, "it has no parameter 'version'"),
        ("gpt2_small", {"heads": 7}, "heads: 7 does not divide width, which is 768"),
        ("tinyllama_1b", {"kv_heads": 5}, "kv_heads: 5 does not divide heads, which is 32"),
        ("vit_base", {"patch": 15}, "patch: 15 does not divide resolution, which is 224"),
        ("vit_base", {"resolution": 8}, "resolution: 8 is less than 16, the stride of all layers together"),
        ("resnet50", {"resolution": 31}, "resolution: 31 is less than 32, the stride of all layers together; choose at least 32"),
        ("gpt2_small", {"phase": "train"}, "phase: expected decode or prefill, got 'train'"),
        ("gpt2_small", {"batch": 0}, "batch: expected a whole number of 1 to 1,048,576, got 0"),
        ("gpt2_small", {"batch": 1.5}, "batch: expected a whole number of 1 to 1,048,576, got 1.5"),
        ("gpt2_small", {"batch": True}, "batch: expected a whole number .* got True"),
        ("gpt2_small", {"context": None}, "context: expected a whole number .* got None"),
        ("gpt2_small", {"kv_bits": 1}, "kv_bits: expected a whole number of 2 to 32, got 1"),
        ("mobilenet_v2", {"width_multiplier": 0}, "width_multiplier: expected a number of 0.01 to 100, got 0"),
        ("mobilenet_v2", {"width_multiplier": float("nan")}, "width_multiplier: expected a number .* got nan"),
        ("mobilenet_v2", {"width_multiplier": "1"}, "width_multiplier: expected a number .* got '1'"),
        ("gpt2_xl", {"context": 2**20, "batch": 2**20}, "workload gpt2_xl: too large for a layer table: .*choose a smaller one$"),
    ],
)  # fmt: skip
def test_what_no_network_is_is_one_error(name: str, chosen: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        accelsim.workload(name, **chosen)
    assert "\n" not in str(caught.value)
