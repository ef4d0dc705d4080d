"""Range setting against torch.ao's observers and ONNX Runtime's calibrators; least error against a search of all ranges."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import HistogramCollector

from accelsim.errors import ConfigError, InputError
from accelsim.numerics import UINT8
from accelsim.quant import (
    Quantizer,
    affine_parameters,
    entropy_range,
    fake_quant_as,
    minmax_range,
    moving_average_range,
    mse_range,
    percentile_range,
)

PYTHON = os.environ.get("ACCELSIM_TORCH_PYTHON", "")
Floats = NDArray[np.float32]


def batches(seed: int) -> Floats:
    """(12, 400) of a normal, a one-sided or a heavy-tailed distribution."""
    rng = np.random.default_rng(seed)
    kinds = (
        lambda: rng.normal(0.3, 1, (12, 400)),
        lambda: np.abs(rng.normal(0, 2, (12, 400))),
        lambda: rng.standard_t(3, (12, 400)),
    )
    return kinds[seed % 3]().astype(np.float32)


SEEDS = range(9)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[Any]]:
    if not Path(PYTHON).is_file():
        pytest.skip("ACCELSIM_TORCH_PYTHON names no Python with torch")
    folder = tmp_path_factory.mktemp("observers")
    np.savez(folder / "x.npz", **{f"x_{seed}": batches(seed) for seed in SEEDS})
    command = [
        PYTHON,
        str(Path(__file__).with_name("run_observers.py")),
        str(folder / "x.npz"),
        str(folder / "out.npz"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "out.npz") as held:
        return {name: held[name] for name in held.files}


@pytest.mark.oracle
@pytest.mark.parametrize("seed", SEEDS)
def test_extremes_are_those_of_torch_observers(theirs: dict[str, Any], seed: int) -> None:
    x = batches(seed)
    assert minmax_range(x) == tuple(theirs[f"minmax_{seed}"].tolist())
    assert moving_average_range(x) == tuple(theirs[f"moving_{seed}"].tolist())
    assert [minmax_range(row) for row in x] == [tuple(ends) for ends in theirs[f"channels_{seed}"].T.tolist()]


@pytest.mark.oracle
@pytest.mark.parametrize("seed", SEEDS)
def test_affine_parameters_are_those_of_torch_observers(theirs: dict[str, Any], seed: int) -> None:
    """Torch divides in float32: its scale is a step of float32 away at most."""
    known = affine_parameters(*minmax_range(batches(seed)), fmt=UINT8)
    scale, zero = theirs[f"affine_{seed}"]
    assert abs(known.scale / scale - 1) <= 2.0**-23
    assert known.zero_point == zero


@pytest.mark.oracle
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("bins", "levels"), [(128, 128), (256, 128), (512, 16), (1024, 255), (300, 4)])
def test_entropy_range_is_that_of_onnxruntime(seed: int, bins: int, levels: int) -> None:
    x = batches(seed)
    collector = HistogramCollector("entropy", False, bins, levels, 99.99, "same")
    collector.collect_value({"x": x})
    low, high = collector.get_entropy_threshold(collector.get_histogram_dict()["x"], levels)
    ours = entropy_range(x, levels=levels, bins=bins) if levels < bins else minmax_range(x)
    # ONNX Runtime's edges are float64 numbers of a float32 peak: a rounding apart.
    assert np.allclose(ours, (float(low), float(high)), rtol=1e-6, atol=0)


@pytest.mark.oracle
@pytest.mark.parametrize("seed", SEEDS)
def test_percentiles_are_onnxruntimes_within_a_bin(seed: int) -> None:
    x, bins = batches(seed), 4096
    collector = HistogramCollector("percentile", False, bins, 128, 99.0, "same")
    collector.collect_value({"x": x})
    theirs = collector.compute_percentile()["x"][:2]
    # It cuts half of what is left on either side; percentile_range cuts all of it.
    low, high = percentile_range(x, percent=99.5)
    width = 2 * float(np.abs(x).max()) / bins
    spread = np.sort(x.reshape(-1))
    gap = max(np.diff(spread[:60]).max(), np.diff(spread[-60:]).max())
    assert abs(low - theirs[0]) <= width + gap
    assert abs(high - theirs[1]) <= width + gap


def error(x: Floats, quantizer: Quantizer, low: float, high: float) -> float:
    known = quantizer.parameters(low, high)
    fmt = quantizer.format(low)
    faked = fake_quant_as(x, framework="onnx", scale=known.scale, zero_point=known.zero_point, fmt=fmt)
    return float(np.square(faked - x, dtype=np.float64).mean())


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("symmetric", [False, True])
def test_least_error_is_that_of_a_fine_search(bits: int, symmetric: bool) -> None:
    """Among a thousand fractions none is better by more than the grid of 64 explains, and min-max never is."""
    quantizer = Quantizer(bits, symmetric=symmetric)
    for seed in SEEDS:
        x = batches(seed)
        low, high = minmax_range(x)
        found = error(x, quantizer, *quantizer.least_error_range(x))
        best = min(error(x, quantizer, low * t, high * t) for t in np.linspace(0.01, 1, 300))
        assert found <= error(x, quantizer, low, high)
        assert found <= 1.05 * best


def test_entropy_of_what_needs_none():
    assert entropy_range([0.0, 0.0], levels=4) == (0.0, 0.0)
    assert entropy_range([-1.0, 3.0], levels=4096) == (-1.0, 3.0)
    low, high = entropy_range(np.concatenate([np.random.default_rng(0).normal(size=9999), [60.0]]), levels=16)
    assert -6 < low < 0 < high < 20


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.001, 1))
def test_a_moving_average_stays_between_the_extremes(seed, averaging):
    x = batches(seed)
    low, high = moving_average_range(x, averaging=averaging)
    assert x.min() <= low <= x.min(axis=1).max() + 1e-6
    assert x.max(axis=1).min() - 1e-6 <= high <= x.max()
    last = minmax_range(x[-1])
    assert moving_average_range(x, averaging=1.0) == pytest.approx(last, abs=1e-5)


def test_misuse_is_refused():
    for call, kind, text in (
        (lambda: entropy_range([1.0], levels=1), ConfigError, "2 or more levels"),
        (lambda: entropy_range([1.0], levels=4, bins=101), ConfigError, "even number of bins"),
        (lambda: entropy_range([np.nan], levels=4), InputError, "all finite"),
        (lambda: moving_average_range([]), InputError, "at least one batch"),
        (lambda: mse_range([np.inf], fmt=UINT8, parameters=Quantizer(8).parameters), InputError, "all finite"),
    ):
        with pytest.raises(kind, match=text):
            call()
