"""The layer tables against the totals that were published for their networks, within the rounding of the publication."""

from __future__ import annotations

import pytest

from tests.test_workloads import WEIGHTED, macs, read, total_macs, total_weights, weights


def parameters(name: str) -> int:
    """Weights, scale and offset of every convolution's normalization, biases of dense layers."""
    rows = [row for row in read(name) if row["op"] in WEIGHTED]
    return sum(weights(row) + row["oc"] * (1 if row["op"] == "dense" else 2) for row in rows)


@pytest.mark.parametrize(
    ("name", "published", "rounding"),
    [
        ("alexnet", 724e6, 0.5e6),  # Sze et al., Proc. IEEE 105(12), 2017, table II
        ("vgg16", 15.5e9, 0.05e9),  # the same table
        ("resnet18", 1.8e9, 0.05e9),  # He et al. 2016, table 1
        ("resnet18", 1.81e9, 0.005e9),  # torchvision
        ("mobilenet_v1", 569e6, 0.5e6),  # Howard et al. 2017, table 4
        ("mobilenet_v3_large", 0.22e9, 0.005e9),  # torchvision; the paper's own count is 219 M
        ("efficientnet_lite0", 0.39e9, 0.005e9),  # Tan and Le 2019, table 2: EfficientNet-B0, whose layers these are
        ("vit_b16", 17.56e9, 0.005e9),  # torchvision
    ],
)
def test_macs_are_the_published(name: str, published: float, rounding: float) -> None:
    assert total_macs(name) == pytest.approx(published, abs=rounding, rel=0)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("resnet18", 11_689_512),  # torchvision
        ("mobilenet_v1", 4_231_976),  # 4.2 M in Howard et al. 2017, table 4; Keras less its running statistics
        ("efficientnet_lite0", 4_652_008),  # timm
    ],
)
def test_parameters_are_the_published(name: str, published: int) -> None:
    assert parameters(name) == published


def test_convolutions_of_alexnet_and_vgg_have_biases_instead_of_normalizations() -> None:
    for name, published in (("alexnet", 60_965_224), ("vgg16", 138_357_544)):
        biases = sum(row["oc"] for row in read(name) if row["op"] in WEIGHTED)
        assert total_weights(name) + biases == published


def test_dense_layers_of_squeeze_and_excite_have_biases() -> None:
    """5,483,032 parameters in torchvision, 5.4 M in Howard et al. 2019, table 3."""
    rows = read("mobilenet_v3_large")
    gates = [row for row in rows if row["name"].endswith((".reduce", ".excite"))]
    assert (len(gates), sum(row["op"] == "scale" for row in rows)) == (16, 8)
    assert {row["oc"] % 8 for row in gates} == {0}
    assert parameters("mobilenet_v3_large") == 5_483_032


def test_vit_weights_are_all_parameters_but_the_small_ones() -> None:
    """86,567,656 parameters in torchvision: biases, two normalizations a layer and one behind, class token, positions."""
    biases = 12 * (4 * 768 + 4 * 768 + 768) + 768 + 1000
    assert total_weights("vit_b16") == 86_567_656 - biases - 25 * 2 * 768 - 768 - 197 * 768


@pytest.mark.parametrize(("name", "tokens"), [("gpt2_small_prefill", 1024), ("gpt2_small_decode", 1)])
def test_gpt2_weights_and_macs(name: str, tokens: int) -> None:
    """124,439,808 parameters in the released model: positions, biases and normalizations are left out."""
    biases, linear = 12 * 9 * 768, 12 * 12 * 768**2
    assert total_weights(name) == 124_439_808 - 1024 * 768 - biases - 25 * 2 * 768
    attention = 2 * 12 * 768 * 1024 * tokens
    assert total_macs(name) == linear * tokens + attention + 768 * 50257
    assert sum(macs(row) for row in read(name) if row["op"] == "matmul") == attention


def test_gpt2_decodes_with_a_cache_of_1024_tokens() -> None:
    """The scores multiply one query by 1024 keys of 64 values in each of 12 heads."""
    rows = [row for row in read("gpt2_small_decode") if row["op"] == "matmul"]
    assert {(row["h"], row["c"], row["oc"], row["groups"]) for row in rows} == {
        (1, 768, 12 * 1024, 12),
        (1, 12 * 1024, 768, 12),
    }
    assert len(rows) == 24


@pytest.mark.parametrize(
    ("name", "layers", "million_weights", "batch", "reuse"),
    [
        ("tpu_mlp0", 5, 20, 200, 200),
        ("tpu_mlp1", 4, 5, 168, 168),
        ("tpu_lstm0", 24, 52, 64, 64),
        ("tpu_lstm1", 37, 34, 96, 96),
        ("tpu_cnn0", 16, 8, 8, 2888),
    ],
)
def test_tpu_applications_have_the_published_totals(
    name: str, layers: int, million_weights: int, batch: int, reuse: int
) -> None:
    """Jouppi et al. 2017, table 1: matrix layers, weights, batch, operations per weight byte."""
    rows = read(name)
    assert len(rows) == layers
    assert round(total_weights(name) / 1e6) == million_weights
    assert {row["n"] * row["h"] if row["op"] == "dense" else row["n"] for row in rows} == {batch}
    assert total_macs(name) == reuse * total_weights(name)
