"""Levels of weights beside literal readings of their papers, scipy and scikit-learn; networks with them beside ONNX Runtime and qonnx."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.stats import norm

from accelsim.arch import load_arch
from accelsim.errors import ConfigError
from accelsim.graph import MacLayer
from accelsim.hardware import stored
from accelsim.importers.onnx.lower.mac import stored_zero_points
from accelsim.numerics import IntFormat
from accelsim.ptq import Settings
from accelsim.ptq.pipeline import run_pipeline
from accelsim.ptq.weight_formats import (
    affine_scales,
    affine_zero_points,
    centroids,
    from_rows,
    level_codes,
    level_scales,
    rows_of,
)
from tests.importers.qonnx.oracle import Job, all_differences, needs_qonnx
from tests.ptq.networks import NETWORKS, float_model, images, save
from tests.ptq.test_quantize_roundtrip import check_beside_the_optimized_onnxruntime, made

seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int) -> NDArray[np.float32]:
    """Weights of some channels, of any size, one channel of them zeros now and then."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 10.0 ** rng.integers(-4, 3), (int(rng.integers(1, 6)), int(rng.integers(2, 60))))
    if rng.random() < 0.2:
        rows[0] = 0
    return rows.astype(np.float32)


def nf4_table() -> NDArray[np.float64]:
    """Quantiles of the normal distribution, 8 above 0 and 7 below, equally far apart in probability from 1/2 to the published offset
    (QLoRA, appendix E; bitsandbytes takes the mean of 1 - 1/30 and 1 - 1/32 for it)."""
    offset = 0.5 * ((1 - 1 / 30) + (1 - 1 / 32))
    above = [norm.ppf(p) for p in np.linspace(offset, 0.5, 9)[:-1]]
    below = [-norm.ppf(p) for p in np.linspace(offset, 0.5, 8)[:-1]]
    table = np.array(sorted([*above, 0.0, *below]))
    return table / table.max()


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_nf4_is_the_nearest_quantile_of_a_normal_distribution(seed: int) -> None:
    rows, table = drawn(seed), np.rint(127 * nf4_table())
    scales = level_scales("nf4", rows)
    codes = level_codes("nf4", 4, rows, scales)
    steps = rows.astype(np.float64) / scales[:, None]
    assert set(np.unique(codes)) <= set(table)
    assert np.abs(codes - steps).tolist() == np.abs(table - steps[..., None]).min(axis=-1).tolist()
    peaks = np.abs(rows).max(axis=1)
    assert (np.abs(codes).max(axis=1)[peaks > 0] == 127).all()


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_ternary_weights_are_those_of_the_paper(seed: int) -> None:
    """Li et al. 1605.04711, equations 4 to 6, weight by weight."""
    rows = drawn(seed)
    scales, codes = level_scales("ternary", rows), level_codes("ternary", 2, rows, level_scales("ternary", rows))
    for row, scale, made_of in zip(rows.astype(np.float64), scales, codes, strict=True):
        threshold = 0.7 * sum(abs(w) for w in row) / len(row)
        kept = [abs(w) for w in row if abs(w) > threshold]
        assert made_of.tolist() == [0 if abs(w) <= threshold else 1 if w > 0 else -1 for w in row]
        assert scale == pytest.approx(sum(kept) / len(kept) if kept else 1.0, rel=1e-6)


@given(seeds, st.integers(2, 4))
@settings(deadline=None, max_examples=60)
def test_powers_of_two_are_those_of_the_paper(seed: int, bits: int) -> None:
    """Zhou et al. 1702.03044, equations 2 to 4: exponents n2 to n1, the level whose interval [(a + b)/2, 3b/2) holds |w|."""
    rows, count = drawn(seed), 2 ** (bits - 1) - 1
    scales = level_scales("power-of-two", rows)
    codes = level_codes("power-of-two", bits, rows, scales)
    for row, scale, made_of in zip(rows.astype(np.float64), scales.astype(np.float64), codes, strict=True):
        largest = max(abs(w) for w in row)
        if largest == 0:
            assert not made_of.any()
            continue
        n1 = int(np.floor(np.log2(4 * largest / 3)))
        levels = [0.0, *(2.0**n for n in range(n1 - count + 1, n1 + 1))]
        for w, code in zip(row, made_of, strict=True):
            real, found = code * scale, abs(w)
            below, level = [(a, b) for a, b in zip([0.0, *levels[:-1]], levels, strict=True) if (a + b) / 2 <= found][
                -1
            ]
            tie = any(found == (a + b) / 2 for a, b in pairwise(levels))
            assert abs(real) == level or (tie and abs(real) == below)
            assert real == 0 or np.sign(real) == np.sign(w)
        assert found_in(codes)


def found_in(codes: NDArray[np.int64]) -> bool:
    """Whether all are 0 or powers of two with a sign, of 8 bits."""
    return set(np.abs(codes).reshape(-1).tolist()) <= {0, 1, 2, 4, 8, 16, 32, 64}


@given(seeds, st.integers(1, 5))
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_centroids_are_scipys(seed: int, bits: int) -> None:
    """Of k-means from the same start."""
    values = np.random.default_rng(seed).normal(0, 1, 200)
    start = np.linspace(values.min(), values.max(), 2**bits).reshape(-1, 1)
    assume(dense(values, start))
    theirs, _ = kmeans2(values.reshape(-1, 1), start, iter=300, minit="matrix", missing="raise")
    assert centroids(values, 2**bits) == pytest.approx(theirs.reshape(-1), rel=1e-9, abs=1e-12)


def dense(values: NDArray[np.float64], start: NDArray[np.float64]) -> bool:
    """Whether each centroid begins with a number of its own: what becomes of others is a choice."""
    nearest = np.abs(values[:, None] - start.reshape(-1)).argmin(axis=1)
    return len(np.unique(nearest)) == len(start)


def test_centroids_are_scikit_learns() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    values = np.random.default_rng(1).normal(0, 1, 4000)
    start = np.linspace(values.min(), values.max(), 8).reshape(-1, 1)
    theirs = cluster.KMeans(8, init=start, n_init=1, tol=0, max_iter=1000).fit(values.reshape(-1, 1))
    assert centroids(values, 8) == pytest.approx(np.sort(theirs.cluster_centers_.reshape(-1)), abs=1e-6)


@given(seeds, st.integers(2, 7))
@settings(deadline=None, max_examples=60)
def test_a_codebook_has_so_many_levels_and_every_weight_its_nearest(seed: int, bits: int) -> None:
    rows = drawn(seed)
    scales = level_scales("codebook", rows)
    codes = level_codes("codebook", bits, rows, scales)
    levels = np.unique(codes)
    steps = rows.astype(np.float64) / scales[:, None]
    assert len(levels) <= 2**bits
    assert np.abs(levels).max() <= 127
    assert np.abs(codes - steps).tolist() == np.abs(levels - steps[..., None]).min(axis=-1).tolist()


@given(seeds, st.integers(2, 8), st.booleans())
@settings(deadline=None, max_examples=60)
def test_zero_points_give_0_a_code_and_reach_both_ends(seed: int, bits: int, signed: bool) -> None:
    rows, fmt = drawn(seed), IntFormat(bits, signed=signed)
    scales, zeros = affine_scales(rows, fmt), affine_zero_points(rows, affine_scales(rows, fmt), fmt)
    assert ((fmt.min <= zeros) & (zeros <= fmt.max)).all()
    for row, scale, zero in zip(rows.astype(np.float64), scales.astype(np.float64), zeros, strict=True):
        least, greatest = (fmt.min - zero) * scale, (fmt.max - zero) * scale
        assert least <= row.min() + 0.51 * scale
        assert greatest >= row.max() - 0.51 * scale


@given(st.integers(0, 3), st.integers(0, 9))
@settings(deadline=None, max_examples=20)
def test_rows_are_put_back(axis: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(2, 3, 4, 5))
    for along in (None, axis):
        assert np.array_equal(from_rows(rows_of(values, along), values, along), values)


LEVELS: dict[str, dict[str, Any]] = {
    "nf4": {"weight_format": "nf4", "weights": 4},
    "nf4 channels": {"weight_format": "nf4", "weights": 4, "per_channel": True},
    "codebook 4": {"weight_format": "codebook", "weights": 4, "per_channel": True},
    "codebook 2": {"weight_format": "codebook", "weights": 2},
    "power of two": {"weight_format": "power-of-two", "weights": 4, "per_channel": True},
    "asymmetric": {"weight_format": "asymmetric"},
    "asymmetric channels": {"weight_format": "asymmetric", "per_channel": True},
    "asymmetric symmetric acts": {"weight_format": "asymmetric", "symmetric": True},
}


@pytest.mark.oracle
@pytest.mark.parametrize("network", ["residual", "branches"])
@pytest.mark.parametrize("name", LEVELS)
def test_no_output_differs_from_onnxruntime(network: str, name: str, tmp_path: Path) -> None:
    """Optimized, on integers throughout, as far as it runs the file."""
    quantized = made(network, tmp_path, dialect="qdq", **LEVELS[name])
    check_beside_the_optimized_onnxruntime(quantized)


@needs_qonnx[0]
@needs_qonnx[1]
@pytest.mark.oracle
def test_no_element_differs_from_qonnx(tmp_path: Path) -> None:
    """Zero points of every width, and ternary weights, which QDQ's operators of integers do not have."""
    jobs = []
    for network in NETWORKS:
        for bits in (2, 3, 4, 6, 8):
            for form in ("asymmetric", *(("ternary",) if bits == 2 else ())):
                folder = tmp_path / f"{network}-{form}-{bits}"
                folder.mkdir()
                layers = ["t9=a8", "t10=a8"] if network == "branches" else []
                quantized = made(network, folder, "qonnx", layers, weights=bits, acts=8, weight_format=form,
                                 per_channel=bits % 2 == 0, symmetric=True)  # fmt: skip
                path = save(quantized.model, folder, "quantized.onnx")
                jobs.append(Job(path, quantized.graph, {"x": images(6, 2)[:, None]}))
    results = all_differences(jobs)
    assert [(job.path.parent.name, wrong) for job, (wrong, _) in zip(jobs, results, strict=True) if wrong] == []
    assert sum(compared for _, compared in results) > 50_000


@pytest.mark.parametrize("dialect", ["qdq", "qonnx"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_zero_points_are_in_the_layers_where_codes_alone_are_not_enough(
    dialect: Any, symmetric: bool, tmp_path: Path
) -> None:
    """Codes without a sign, whatever those of the file have, and one bit narrower than the factors; memory holds and gives them back."""
    chosen = {"weight_format": "asymmetric", "per_channel": True, "symmetric": symmetric}
    graph = made("residual", tmp_path, dialect=dialect, **chosen).graph
    layers: list[Any] = [layer for layer in graph.layers if isinstance(layer, MacLayer)]
    for layer in layers:
        assert layer.weight_format.bits == 9
        assert layer.has_weight_zero_points
        assert len(layer.weight_zero_points) == layer.geometry.oc
        codes = layer.weights + layer.weight_zero_points.reshape(-1, 1, 1, 1)
        assert codes.min() >= 0
        assert codes.max() <= 255
    assert len(layers) > 3
    arch = load_arch("edge_16x16").with_({"weight_buffer.coding": "codebook"})
    for layer in layers:
        for machine in (arch, load_arch("edge_16x16")):
            kept = stored(layer, machine)
            held = kept.encoded(layer.weights[1:], 1)
            assert kept.format.min <= held.min() <= held.max() <= kept.format.max
            assert np.array_equal(kept.decoded(held, 1), layer.weights[1:])


def test_a_zero_point_that_another_code_removes_is_none() -> None:
    """Codes without a sign around 128 are those with a sign around 0."""
    assert stored_zero_points(np.array([128]), IntFormat(8), bits=8, signed=False) is None
    found = stored_zero_points(np.array([100, 3]), IntFormat(9), bits=8, signed=False)
    assert found is not None
    assert found.tolist() == [100, 3]
    found = stored_zero_points(np.array([-7]), IntFormat(9), bits=8, signed=True)
    assert found is not None
    assert found.tolist() == [121]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"weight_format": "ternary"}, "weight format ternary: expected 2 bits a weight"),
        ({"weight_format": "nf4", "weights": 8}, "weight format nf4: expected 4 bits"),
        ({"weight_format": "power-of-two", "weights": 5}, "expected 2 to 4 bits"),
        ({"weight_format": "codebook"}, "expected 2 to 7 bits"),
        ({"weight_format": "float"}, "expected one of symmetric, asymmetric"),
        ({"weight_format": "asymmetric", "power_of_two": True}, "with power_of_two scales: expected symmetric weights"),
        ({"weight_format": "nf4", "weights": 4, "accumulator_bits": 16}, "with accumulator_bits: expected symmetric"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        Settings(**options)


def test_steps_for_uniform_grids_are_refused_by_name(tmp_path: Path) -> None:
    path = save(float_model("residual"), tmp_path)
    chosen = Settings(weights=4, weight_format="nf4")
    with pytest.raises(
        ConfigError, match="step weight-ranges is for symmetric .* --without weight-ranges --without adaround"
    ):
        run_pipeline(path, {"x": images(1)}, name="nagel", settings=chosen)
    for form, bits in (("asymmetric", 8), ("nf4", 4)):
        chosen = Settings(weights=bits, weight_format=form)  # type: ignore[arg-type]
        made_of = run_pipeline(path, {"x": images(1)}, name="krishnamoorthi", settings=chosen).quantized
        assert all(held.axis is not None for held in made_of.weights.values())
        assert any(held.stored_zero_points.any() for held in made_of.weights.values()) == (form == "asymmetric")


def test_other_layers_keep_symmetric_weights(tmp_path: Path) -> None:
    quantized = made("residual", tmp_path, dialect="qdq", layers=["conv_0=w8"], weight_format="nf4", weights=4)
    levels = {name: len(np.unique(held.codes)) for name, held in quantized.weights.items()}
    assert sum(count > 16 for count in levels.values()) == 1
