"""The TOSA schemes against RESCALE of TOSA's reference model.

``tosa-tools`` pins numpy below 2.2, so it lives in an environment of its own: ``ACCELSIM_TOSA_PYTHON`` names its python.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from accelsim.numerics import Requant, requantize

PYTHON = os.environ.get("ACCELSIM_TOSA_PYTHON", "")
ROWS, CHANNELS = 200, 400

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(not Path(PYTHON).is_file(), reason="ACCELSIM_TOSA_PYTHON names no python with tosa-tools"),
]


def reference(folder: Path, **arrays: object) -> np.ndarray:
    np.savez(folder / "in.npz", **arrays)
    script = Path(__file__).with_name("tosa_rescale.py")
    subprocess.run([PYTHON, script, folder / "in.npz", folder / "out.npz"], check=True, timeout=300)
    return np.load(folder / "out.npz")["y"]


def values_of(rng: np.random.Generator, shift: np.ndarray, reach: np.ndarray, unit_shift: int) -> np.ndarray:
    """Half of them over the whole range that TOSA accepts, half giving results of about 8 bits."""
    small = np.minimum(2.0 ** (shift - unit_shift + 8), reach)
    spread = np.where(rng.random((ROWS, CHANNELS)) < 0.5, reach, small)
    return np.clip((rng.uniform(-1, 1, (ROWS, CHANNELS)) * spread).astype(np.int64), -reach, reach - 1)


@pytest.mark.parametrize(("scheme", "double"), [("tosa_single", False), ("tosa_double", True)])
def test_rescale_with_32_bit_multipliers(scheme: str, double: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shift = np.where(rng.random(CHANNELS) < 0.7, rng.integers(31, 48, CHANNELS), rng.integers(2, 63, CHANNELS))
    multiplier = rng.integers(2**30, 2**31, CHANNELS)
    # |value| < 2**(shift-1) is TOSA's own condition; it also keeps the result within int32.
    values = values_of(rng, shift, 2 ** (np.minimum(shift, 32) - 1), 31)
    y = reference(tmp_path, values=values, multiplier=multiplier, shift=shift, scale32=1, double=int(double))
    requant = Requant(scheme, multiplier, 31 - shift, 0, -(2**31), 2**31 - 1)
    assert np.array_equal(requantize(values, requant), y)
    assert (y != 0).mean() > 0.8


def test_rescale_with_16_bit_multipliers(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    shift, multiplier = rng.integers(17, 46, CHANNELS), rng.integers(2**14, 2**15, CHANNELS)
    values = values_of(rng, shift, np.full(CHANNELS, 2**31), 15)
    y = reference(tmp_path, values=values, multiplier=multiplier, shift=shift, scale32=0, double=0)
    requant = Requant("tosa_scale16", multiplier, shift, 0, -(2**31), 2**31 - 1)
    assert np.array_equal(requantize(values, requant), y)
    assert (y != 0).mean() > 0.8
