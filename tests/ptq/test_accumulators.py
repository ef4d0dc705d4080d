"""Weights held to narrow accumulators: what is promised is proved on the graph, and little is lost where there is room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from accelsim.cli import main
from accelsim.errors import ConfigError
from accelsim.execute import accumulator_report
from accelsim.importers import resolve_model, shipped_calibration
from accelsim.importers.onnx.file import OnnxNode
from accelsim.numerics import IntFormat
from accelsim.ptq import Settings, quantize_network
from accelsim.ptq.accumulators import held_codes
from accelsim.simulation import read_inputs

PATH = resolve_model("digits_float")
CALIBRATION = read_inputs(shipped_calibration(PATH))[0]


def needed(**settings: Any) -> int:
    """Bits of the widest sum, for any input."""
    made = quantize_network(PATH, CALIBRATION, settings=Settings(**settings))
    return max(record.bound.bit_length() + 1 for record in accumulator_report(made.graph).records)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize(
    "settings",
    [
        {"per_channel": True, "bias_correction": True, "range": "mse"},
        {"weights": 4, "acts": 8},
        {"weights": 6, "acts": 4, "per_channel": True, "power_of_two": True},
        {"weights": 3, "acts": 6, "symmetric": True, "bias_correction": True},
    ],
    ids=["w8a8", "per tensor", "powers of two", "symmetric"],
)
def test_no_sum_can_leave_the_accumulator(bits: int, settings: dict[str, Any]) -> None:
    assert needed(**settings, accumulator_bits=bits) <= bits


def test_it_takes_more_without() -> None:
    assert needed(per_channel=True) > 16


def test_weights_with_room_keep_their_codes() -> None:
    free, held = (
        quantize_network(PATH, CALIBRATION, settings=Settings(per_channel=True, accumulator_bits=bits))
        for bits in (None, 32)
    )
    for name, quant in free.weights.items():
        np.testing.assert_array_equal(held.weights[name].codes, quant.codes)
        np.testing.assert_array_equal(held.weights[name].scales, quant.scales)


@pytest.mark.parametrize("alone", [True, False])
def test_what_is_held_is_nearer_than_weights_scaled_down(alone: bool) -> None:
    """Beside the plain way, all weights of a channel times one factor, rounded towards zero: A2Q's normalization."""
    random = np.random.default_rng(0)
    real = random.normal(size=(8, 5, 3, 3)).astype(np.float32)
    node = OnnxNode(index=0, op="Conv", inputs=("x", "w"), outputs=("y",), attributes={})
    scales = np.full(8 if alone else 1, np.abs(real).max() / 127, np.float32)
    room = np.full(8, 200.0)
    codes, wider = held_codes(node, real, scales, IntFormat(8), room, whole=False)
    assert (np.abs(codes).reshape(8, -1).sum(axis=1) <= room).all()
    assert (wider >= scales).all()
    assert wider.shape == scales.shape
    exact = real.reshape(8, -1) / scales.reshape(-1, 1)
    shrunk = np.trunc(exact * (room / np.abs(exact).sum(axis=1))[:, None]) * scales.reshape(-1, 1)
    ours = codes.reshape(8, -1) * wider.reshape(-1, 1)
    errors = [np.square(one - real.reshape(8, -1)).sum() for one in (ours, shrunk)]
    assert errors[0] < 0.6 * errors[1]


def test_the_command_says_what_it_proved(tmp_path: Path) -> None:
    words = ["quantize", "digits_float", "--acts", "4", "--per-channel", "-o", str(tmp_path / "held.onnx")]
    done = CliRunner().invoke(main, [*words, "--accumulator-bits", "14"])
    assert done.exit_code == 0, done.output
    assert "no input makes a sum of its 5 layers leave 14 bits (proved" in done.stdout
    refused = CliRunner().invoke(main, [*words, "--accumulator-bits", "3"])
    assert refused.exit_code == 1
    assert "accumulator_bits: expected 8 to 32 bits, got 3" in refused.stderr


def test_one_bit_weights_have_nothing_to_give_and_are_refused(tmp_path: Path) -> None:
    words = ["quantize", "digits_float", "--weights", "1", "--acts", "8", "-o", str(tmp_path / "x.onnx")]
    done = CliRunner().invoke(main, [*words, "--accumulator-bits", "10"])
    assert done.exit_code == 1
    assert "sums of layer" in done.stderr
    assert not (tmp_path / "x.onnx").exists()


def test_widths_that_no_accumulator_has_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected 8 to 32 bits, got 40"):
        Settings(accumulator_bits=40)
