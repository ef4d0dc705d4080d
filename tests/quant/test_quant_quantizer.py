from __future__ import annotations

import math
import os
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import ConfigError, InputError, ModelError
from accelsim.numerics import IntFormat
from accelsim.quant import Quantizer, bipolar_scales, channel_scales, codes_as, fold_batch_norm, quantize_bias

ends = st.floats(-(2.0**20), 2.0**20, width=32)
TORCH = os.environ.get("ACCELSIM_TORCH_PYTHON", "")
FUSE = """
import sys, numpy as np, torch
from torch.nn.utils.fusion import fuse_conv_bn_weights
held = np.load(sys.argv[1])
t = {name: torch.tensor(held[name]) for name in held.files}
w, b = fuse_conv_bn_weights(t["w"], t["b"], t["mean"], t["variance"], 1e-3, t["gamma"], t["beta"])
np.savez(sys.argv[2], w=w.detach().numpy(), b=b.detach().numpy())
"""


@settings(deadline=None)
@given(ends, ends, st.integers(1, 16), st.booleans(), st.booleans())
def test_a_quantizer_covers_its_range(a, b, bits, symmetric, power_of_two):
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    quantizer = Quantizer(bits, symmetric=symmetric, power_of_two=power_of_two)
    known, fmt = quantizer.parameters(low, high), quantizer.format(low)
    assert fmt.contains(known.zero_point)
    bottom, top = (known.scale * (code - known.zero_point) for code in (fmt.min, fmt.max))
    slack = 0.5001 * known.scale + 1e-6 * (high - low)
    assert bottom <= low + slack
    assert top >= high - slack
    assert fmt.bits == bits or (fmt.bits, bits, fmt.signed) == (2, 1, True)
    if quantizer.is_symmetric:
        assert (known.zero_point, fmt.signed) == (0, low < 0)
    else:
        assert not fmt.signed
    if power_of_two:
        assert math.frexp(known.scale)[0] == 0.5


def test_signs_can_be_asked_for():
    assert Quantizer(8, symmetric=True, signed=True).format(0.0) == IntFormat(8)
    assert Quantizer(8, signed=True).parameters(0.0, 255.0).zero_point == -128
    assert Quantizer(3, symmetric=True).format(0.0) == IntFormat(3, signed=False)


def test_channel_scales_are_each_channels_own():
    w = np.array([[0.5, -1.27, 0], [12.7, 0, 3]], np.float32)
    quantizer = Quantizer(8, symmetric=True, signed=True)
    assert channel_scales(w, axis=0, quantizer=quantizer) == pytest.approx([0.01, 0.1])
    assert channel_scales(w, axis=None, quantizer=quantizer) == pytest.approx([0.1])
    assert channel_scales(w, axis=1, quantizer=quantizer) == pytest.approx([0.1, 0.01, 3 / 127])
    codes = codes_as(w, framework="onnx", scale=np.array([[0.01], [0.1]]), zero_point=0, fmt=IntFormat(8))
    assert codes.tolist() == [[50, -127, 0], [127, 0, 30]]


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10, width=32).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=9))
def test_no_scale_of_signs_has_a_smaller_error(values):
    w = np.array([values], np.float32)
    scale = float(bipolar_scales(w, axis=0)[0])
    signs = np.where(w >= 0, 1, -1)

    def error(s):
        return float(np.square(signs * s - w.astype(float)).sum())

    assert error(scale) <= min(error(scale * f) for f in (0.9, 0.99, 1.01, 1.1)) * (1 + 1e-6)
    assert bipolar_scales(np.zeros((2, 3), np.float32), axis=0).tolist() == [1.0, 1.0]


@settings(deadline=None)
@given(st.lists(ends, min_size=1, max_size=8), st.floats(2.0**-4, 2, width=32), st.floats(2.0**-4, 2, width=32))
def test_a_bias_is_within_half_a_unit(bias, s_in, s_w):
    codes = quantize_bias(bias, s_in=s_in, s_w=s_w)
    unit = float(np.float32(s_in)) * float(np.float32(s_w))
    assert np.abs(codes * unit - np.array(bias)).max() <= unit / 2 * (1 + 1e-9)


def test_a_bias_that_does_not_fit_is_named():
    assert quantize_bias([0.5, 1.5, 2.5], s_in=1.0, s_w=1.0).tolist() == [0, 2, 2]
    with pytest.raises(ModelError, match="bias of channel 1: .* does not fit int32"):
        quantize_bias([1.0, 1e9], s_in=1e-3, s_w=[1.0, 1e-3])
    with pytest.raises(ModelError, match="does not fit int16"):
        quantize_bias([40000.0], s_in=1.0, s_w=1.0, fmt=IntFormat(16))
    with pytest.raises(InputError, match="finite"):
        quantize_bias([math.nan], s_in=1.0, s_w=1.0)


def parameters(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = {name: rng.normal(size=6) for name in ("b", "gamma", "beta", "mean")}
    made |= {"w": rng.normal(size=(6, 4, 3, 3)), "variance": rng.uniform(0.1, 2, 6)}
    return {name: values.astype(np.float32) for name, values in made.items()}


@pytest.mark.oracle
@pytest.mark.skipif(not TORCH, reason="ACCELSIM_TORCH_PYTHON names no Python with torch")
def test_folding_is_torchs(tmp_path):
    """Torch folds in float32; here it is rounded once."""
    held = parameters(1)
    np.savez(tmp_path / "in.npz", **held)
    (tmp_path / "fuse.py").write_text(FUSE)
    command = [TORCH, str(tmp_path / "fuse.py"), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    w, b = held.pop("w"), held.pop("b")
    ours = fold_batch_norm(w, b, axis=0, epsilon=1e-3, **held)
    with np.load(tmp_path / "out.npz") as theirs:
        assert np.allclose(ours[0], theirs["w"], rtol=1e-6, atol=1e-7)
        assert np.allclose(ours[1], theirs["b"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_folded_sums_are_normalized_sums(axis):
    held, rng = parameters(2), np.random.default_rng(3)
    held.pop("w")
    b = held.pop("b")
    w = rng.normal(size=(6, 9) if axis == 0 else (9, 6)).astype(np.float32)
    x = rng.normal(size=(20, 9))
    sums = x @ (w.T if axis == 0 else w)
    for bias in (None, b):
        folded, offset = fold_batch_norm(w, bias, axis=axis, epsilon=1e-3, **held)
        raw = sums + (0 if bias is None else bias)
        expected = (raw - held["mean"]) / np.sqrt(held["variance"] + 1e-3) * held["gamma"] + held["beta"]
        assert np.allclose(x @ (folded.T if axis == 0 else folded) + offset, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: Quantizer(0), ConfigError, "1 to 16 bits, got 0"),
        (lambda: Quantizer(17), ConfigError, "1 to 16 bits, got 17"),
        (lambda: Quantizer(1, symmetric=True, signed=True), ConfigError, "give 2 bits"),
        (lambda: channel_scales(np.ones((2, 2), np.float32), axis=0, quantizer=Quantizer(8)), ConfigError, "symmetric"),
        (
            lambda: fold_batch_norm(
                np.ones((1, 1), np.float32), None, axis=0, gamma=[1], beta=[0], mean=[0], variance=[-1], epsilon=1e-5
            ),
            ModelError,
            "variances above",
        ),
    ],
)
def test_misuse_is_refused(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
