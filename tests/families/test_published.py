"""Networks of families against what was published of them: multiply-accumulates and parameters; and against the packaged tables."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim import workload
from accelsim.graph import Dense, Graph, MacLayer, MatMul
from accelsim.importers import load_graph


def weighted(graph: Graph) -> list[MacLayer]:
    return [layer for layer in graph.layers if isinstance(layer, MacLayer) and not isinstance(layer, MatMul)]


def weights(graph: Graph) -> int:
    return sum(layer.geometry.oc * layer.geometry.reduction for layer in weighted(graph))


def parameters(graph: Graph) -> int:
    """Weights, scale and offset of every convolution's normalization, biases of dense layers."""
    return weights(graph) + sum(x.geometry.oc * (1 if isinstance(x, Dense) else 2) for x in weighted(graph))


@pytest.mark.parametrize(
    ("name", "chosen", "macs", "rounding", "published"),
    [
        # torchvision's documentation of its weights: GFLOPS (multiply-accumulates) and parameters; its ResNets are v1.5
        ("resnet18", {}, 1.81e9, 5e6, 11_689_512),
        ("resnet34", {}, 3.66e9, 5e6, 21_797_672),
        ("resnet50", {"version": "v1.5"}, 4.09e9, 5e6, 25_557_032),
        ("resnet101", {"version": "v1.5"}, 7.80e9, 5e6, 44_549_160),
        ("resnet152", {"version": "v1.5"}, 11.51e9, 5e6, 60_192_808),
        ("mobilenet_v3_large", {}, 0.22e9, 5e6, 5_483_032),
        ("mobilenet_v3_small", {}, 0.06e9, 5e6, 2_542_856),
    ],
)
def test_torchvision(name: str, chosen: dict[str, Any], macs: float, rounding: float, published: int) -> None:
    graph = workload(name, **chosen)
    assert graph.macs == pytest.approx(macs, abs=rounding, rel=0)
    assert parameters(graph) == published


def in_millions(graph: Graph, macs: float, million: float) -> bool:
    """Whether both are the published, which are rounded to a million and to two places, up or down."""
    return abs(graph.macs / 1e6 - macs) < 1.0 and abs(parameters(graph) / 1e6 - million) < 0.06


@pytest.mark.parametrize(
    ("width", "resolution", "macs", "million"),
    [
        (1.4, 224, 582, 6.06), (1.3, 224, 509, 5.34), (1.0, 224, 300, 3.47), (1.0, 192, 221, 3.47), (1.0, 160, 154, 3.47),
        (1.0, 128, 99, 3.47), (1.0, 96, 56, 3.47), (0.75, 224, 209, 2.61), (0.75, 192, 153, 2.61), (0.75, 160, 107, 2.61),
        (0.75, 128, 69, 2.61), (0.75, 96, 39, 2.61), (0.5, 224, 97, 1.95), (0.5, 192, 71, 1.95), (0.5, 160, 50, 1.95),
        (0.5, 128, 32, 1.95), (0.5, 96, 18, 1.95), (0.35, 224, 59, 1.66), (0.35, 192, 43, 1.66), (0.35, 160, 30, 1.66),
        (0.35, 128, 20, 1.66), (0.35, 96, 11, 1.66),
    ],
)  # fmt: skip
def test_mobilenet_v2(width: float, resolution: int, macs: float, million: float) -> None:
    """All checkpoints of the authors (tensorflow/models, slim/nets/mobilenet/README.md)."""
    assert in_millions(workload("mobilenet_v2", width_multiplier=width, resolution=resolution), macs, million)


@pytest.mark.parametrize(
    ("width", "resolution", "macs", "million"),
    [
        (1.0, 224, 569, 4.2), (0.75, 224, 325, 2.6), (0.5, 224, 149, 1.3), (0.25, 224, 41, 0.5),
        (1.0, 192, 418, 4.2), (1.0, 160, 290, 4.2), (1.0, 128, 186, 4.2),
    ],
)  # fmt: skip
def test_mobilenet_v1(width: float, resolution: int, macs: float, million: float) -> None:
    """Howard et al. 2017, tables 6 and 7."""
    assert in_millions(workload("mobilenet_v1", width_multiplier=width, resolution=resolution), macs, million)


@pytest.mark.parametrize(
    ("name", "macs", "million"), [("mobilenet_v3_large", 155, 4.0), ("mobilenet_v3_small", 44, 2.04)]
)
def test_mobilenet_v3_of_three_quarters(name: str, macs: float, million: float) -> None:
    """Howard et al. 2019, table 3: 155 M and 4.0 M, 44 M and 2.0 M; timm counts 2.04 M."""
    assert in_millions(workload(name, width_multiplier=0.75), macs, million)


@pytest.mark.parametrize(
    ("name", "patch", "width", "layers", "macs", "published"),
    [
        ("vit_tiny", 16, 192, 12, 1.26e9, 5_717_416),  # timm, vit_tiny_patch16_224
        ("vit_small", 16, 384, 12, 4.6e9, 22_050_664),  # timm, vit_small_patch16_224
        ("vit_base", 16, 768, 12, 17.56e9, 86_567_656),  # torchvision, vit_b_16
        ("vit_base", 32, 768, 12, 4.41e9, 88_224_232),  # torchvision, vit_b_32
        ("vit_large", 16, 1024, 24, 61.55e9, 304_326_632),  # torchvision, vit_l_16
        ("vit_large", 32, 1024, 24, 15.38e9, 306_535_400),  # torchvision, vit_l_32
    ],
)  # fmt: skip
def test_vit(name: str, patch: int, width: int, layers: int, macs: float, published: int) -> None:
    graph = workload(name, patch=patch)
    assert graph.macs == pytest.approx(macs, rel=0.006)
    biases = layers * 9 * width + width + 1000
    tokens = (224 // patch) ** 2 + 1
    assert weights(graph) == published - biases - (2 * layers + 1) * 2 * width - width - tokens * width


@pytest.mark.parametrize(
    ("name", "width", "layers", "published"),
    [
        ("gpt2_small", 768, 12, 124_439_808), ("gpt2_medium", 1024, 24, 354_823_168), ("gpt2_large", 1280, 36, 774_030_080),
        ("gpt2_xl", 1600, 48, 1_557_611_200),
    ],
)  # fmt: skip
def test_gpt2(name: str, width: int, layers: int, published: int) -> None:
    """The released models; positions, biases and normalizations are left out."""
    left_out = 1024 * width + layers * 9 * width + (2 * layers + 1) * 2 * width
    assert weights(workload(name)) == published - left_out


@pytest.mark.parametrize(
    ("name", "width", "layers", "vocabulary", "published"),
    [
        ("llama2_7b", 4096, 32, 32000, 6_738_415_616), ("llama3_8b", 4096, 32, 128256, 8_030_261_248),
        ("tinyllama_1b", 2048, 22, 32000, 1_100_048_384),
    ],
)  # fmt: skip
def test_llama(name: str, width: int, layers: int, vocabulary: int, published: int) -> None:
    """The released models; embeddings and normalizations, of one factor a channel, are left out."""
    assert weights(workload(name)) == published - vocabulary * width - (2 * layers + 1) * width


@pytest.mark.parametrize(
    ("name", "width", "layers", "published"),
    [("bert_base", 768, 12, 109_482_240), ("bert_large", 1024, 24, 335_141_888)],
)
def test_bert(name: str, width: int, layers: int, published: int) -> None:
    """The released models, uncased; embeddings of 30522 words, 512 places, 2 segments, biases, normalizations, pooler left out."""
    left_out = (30522 + 512 + 2) * width + layers * 9 * width + (2 * layers + 1) * 2 * width + width**2 + width
    assert weights(workload(name)) == published - left_out


def shapes(graph: Graph) -> list[tuple[Any, ...]]:
    return [(type(x), x.name, x.input_shapes, x.output_shape, x.macs, len(x.inputs)) for x in graph.layers]


@pytest.mark.parametrize(
    ("packaged", "name", "chosen"),
    [
        ("bert_base", "bert_base", {}),
        ("gpt2_small_decode", "gpt2_small", {"phase": "decode"}),
        ("gpt2_small_prefill", "gpt2_small", {"phase": "prefill"}),
        ("mobilenet_v1", "mobilenet_v1", {}),
        ("mobilenet_v2", "mobilenet_v2", {}),
        ("mobilenet_v3_large", "mobilenet_v3_large", {}),
        ("resnet18", "resnet18", {}),
        ("resnet50", "resnet50", {}),
        ("vit_b16", "vit_base", {}),
    ],
)
def test_the_packaged_tables_are_members(packaged: str, name: str, chosen: dict[str, Any]) -> None:
    there, made = load_graph(packaged), workload(name, **chosen)
    assert shapes(made) == shapes(there)
    assert [x.inputs for x in made.layers] == [x.inputs for x in there.layers]
