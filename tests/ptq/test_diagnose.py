"""What harms a quantized network: found where it was put, and cured by what cures it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.ptq import Settings, Widths, quantize_network
from accelsim.ptq.diagnose import Diagnosis, diagnose
from accelsim.ptq.study import Reference, sqnr_db
from accelsim.report.pictures import diagnosis_plots
from accelsim.report.ptq import DiagnosisText, quantize_command
from tests.ptq.networks import Net, float_model, images, save

CALIB, TEST = {"x": images(1, 40)}, {"x": images(2, 24)}


def found_in(model: onnx.ModelProto, folder: Path, calib: Any = None, **options: Any) -> Diagnosis:
    path = save(model, folder)
    return diagnose(path, CALIB if calib is None else calib, settings=Settings(**options), inputs=TEST)


def changed(model: onnx.ModelProto, name: str, change: Callable[[Any], Any]) -> onnx.ModelProto:
    """With the constant ``name`` changed."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            values = np.asarray(change(numpy_helper.to_array(tensor)), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, name))
    return model


def test_a_layer_of_uneven_channels_is_found_and_cured_per_channel(tmp_path: Path) -> None:
    """One output channel of the first convolution 60 times the others': one scale for all leaves those few levels."""
    factors = np.array([60.0, 1, 1, 1], np.float32).reshape(4, 1, 1, 1)
    model = changed(float_model("shortcut"), "c0", lambda w: w * factors)
    model = changed(model, "c2", lambda w: w / np.moveaxis(factors, 0, 1))  # the next layer takes it back
    found = found_in(model, tmp_path, acts=16)
    assert found.check.passed
    assert found.bottleneck == "weights"
    assert found.noise_of_weights > 0.9
    worst = found.quantizers[0]
    assert (worst.quantizer.kind, worst.quantizer.layer) == ("weights", "conv_0")
    uneven = next(each for each in found.weights if each.quantizer == worst.quantizer)
    assert uneven.spread > 20
    cures = [each.remedy.change for each in found.tried[:3]]
    assert {"per_channel": True} in cures
    assert found.tried[0].gain_db > 6
    assert found.stages["weights"].sqnr_db < found.stages["activations"].sqnr_db


def test_outliers_of_calibration_are_found_and_cured_by_other_ranges(tmp_path: Path) -> None:
    calib = {"x": CALIB["x"].copy()}
    calib["x"][0, 0, 0, 0] = 400.0
    found = found_in(float_model("shortcut"), tmp_path, calib, per_channel=True)
    assert found.bottleneck == "activations"
    assert found.quantizers[0].quantizer.layer == "x"
    best = found.tried[0].remedy
    assert best.change["range"] in ("mse", "percentile", "entropy")
    assert found.tried[0].gain_db > 10
    stretched = next(each for each in found.activations if each.quantizer.layer == "x")
    assert stretched.high > 390
    assert np.flatnonzero(stretched.counts).size < 5


def test_the_figures_are_those_of_their_definition(tmp_path: Path) -> None:
    found = found_in(float_model("residual"), tmp_path, weights=4, acts=5)
    quantized = quantize_network(found.path, CALIB, settings=found.settings)
    for each in found.weights:
        assert each.sqnr_db == quantized.weights[each.quantizer.tensors[0]].sqnr_db
        held = quantized.source.constants[
            next(n for n in quantized.source.nodes if n.outputs[0] == each.quantizer.tensors[0]).inputs[1]
        ]
        assert each.quartiles.shape[1] == 5
        assert each.quartiles[:, 0].min() == held.min()
    image = next(each for each in found.activations if each.quantizer.layer == "x")
    known = quantized.acts["x"]
    x = TEST["x"]
    codes = np.clip(np.rint(x / np.float32(known.scale)) + known.zero_point, 0, 31)
    assert image.sqnr_db == pytest.approx(sqnr_db(x, (codes - known.zero_point) * np.float32(known.scale)), abs=1e-3)
    assert image.counts.sum() == x.size
    assert image.clipped == pytest.approx(float(((x < image.low) | (x > image.high)).mean()))
    np.testing.assert_allclose(image.lows, x.min(axis=(0, 2, 3)))
    np.testing.assert_allclose(image.highs, x.max(axis=(0, 2, 3)))
    assert [each.alone.sqnr_db for each in found.quantizers] == sorted(e.alone.sqnr_db for e in found.quantizers)
    assert found.stages["16 bits"].sqnr_db > found.stages["both"].sqnr_db


def test_the_file_of_the_remedies_does_what_they_promise(tmp_path: Path) -> None:
    found = found_in(float_model("residual"), tmp_path, weights=4, acts=4)
    assert found.chosen
    assert found.file is not None
    assert found.file.sqnr_db == pytest.approx(found.chosen[-1].effect.sqnr_db, abs=0.3)
    gained = found.stages["both"].sqnr_db + sum(each.gain_db for each in found.chosen)
    assert gained == pytest.approx(found.chosen[-1].effect.sqnr_db)
    assert all(each.gain_db > 0 for each in found.chosen)
    without_bits = [each.remedy.layer is None for each in found.chosen]
    assert without_bits == sorted(without_bits, reverse=True)


def test_constant_channels_and_nan(tmp_path: Path) -> None:
    dead = changed(float_model("shortcut"), "c0", lambda w: np.concatenate([w[:3], 0 * w[:1]]))
    dead = changed(dead, "c1", lambda b: np.concatenate([b[:3], -np.ones(1)]))
    notes = found_in(dead, tmp_path).notes
    assert any("'conv_0': 1 of 4 output channels have no weights but zeros" in note for note in notes)
    assert any(note.startswith("constant channels: 1 of 4 of 'conv_0'") for note in notes)
    broken = {"x": CALIB["x"].copy()}
    broken["x"][3, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"holds nan at index \(3, 0, 0, 0"):
        found_in(float_model("shortcut"), tmp_path, broken)
    net = Net(1, (1, 3, 8, 8))
    made = net.model(net.node("Sqrt", net.node("Conv", "x", net.normal(2, 3, 1, 1))))
    with pytest.raises(InputError, match="inference 0 makes tensor 't1' infinite or NaN"):
        found_in(made, tmp_path)


def test_pictures_and_text(tmp_path: Path) -> None:
    found = found_in(float_model("branches"), tmp_path)
    plots = diagnosis_plots(found)
    assert list(plots) == ["quantizers", "weights", "activations"]
    assert len(plots["weights"]().axes) >= len(found.weights)
    assert len(plots["activations"]().axes) == 2 * len(found.activations)
    known = DiagnosisText(found, lambda settings: quantize_command("a model.onnx", settings=settings))
    held = json.loads(known.to_json())
    assert held["bottleneck"] == found.bottleneck
    assert [each["quantizer"]["layer"] for each in held["quantizers"]] == [q.quantizer.layer for q in found.quantizers]


def test_commands_say_every_setting() -> None:
    settings = Settings(
        weights=4, acts=6, per_channel=True, equalize=True, range="percentile", percentile=99.9,
        layers={"a layer": Widths(8, None)},
    )  # fmt: skip
    text = quantize_command("net.onnx", settings=settings, calib="c.npz", layers={"fc": Widths(None, 16)})
    assert text == (
        "accelsim quantize net.onnx --calib c.npz --weights 4 --acts 6 --per-channel --equalize --range percentile --percentile 99.9 "
        "--layer 'a layer=w8' --layer fc=a16 -o net_w4a6.onnx"
    )
    long = f"{'x' * 40};the/end"
    assert " --layer '…xxxxxxxxxxxxxxxxxxxxx;the/end=w8' " in quantize_command(
        "n", settings=Settings(layers={long: Widths(8, None)}), network=["other", long]
    )
    flags = replace(settings, symmetric=True, power_of_two=True, bias_correction=True)
    assert {"--symmetric", "--power-of-two", "--bias-correction"} <= set(quantize_command("n", settings=flags).split())


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_the_command_of_the_packaged_network(tmp_path: Path) -> None:
    """The command that it prints makes the file whose accuracy it promises."""
    files = [tmp_path / "found.json", tmp_path / "found.html"]
    options = ["--weights", 4, "--acts", 4, "--test", "digits_float", "--pictures", tmp_path / "pictures"]
    done = cli("diagnose", "digits_float", *options, "--json", files[0], "--html", files[1])
    assert done.exit_code == 0, done.output
    assert "bottleneck          weights" in done.stdout
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        "quantizers.png",
        "weights.png",
        "activations.png",
    }
    assert files[1].read_text().count("<svg ") >= 3
    held = json.loads(files[0].read_text())
    words = shlex.split(held["command"])
    assert held["command"] in done.stdout
    made = cli(*words[1:-1], tmp_path / "cured.onnx", "--test", "digits_float", "--evaluator", "onnxruntime")
    assert made.exit_code == 0, made.output
    assert f"fake-quantized {held['file']['accuracy']:.2%}" in made.stdout
    assert held["file"]["accuracy"] > held["stages"]["both"]["accuracy"] + 0.1


def test_refusals_on_the_command_line(tmp_path: Path) -> None:
    path, calib = save(float_model("shortcut"), tmp_path), tmp_path / "calib.npz"
    np.savez(calib, x=images(1, 2))
    none = cli("diagnose", path)
    assert (none.exit_code, "no calibration data: give --calib FILE" in none.stderr) == (1, True)
    taken = cli("diagnose", path, "--calib", calib, "--pictures", calib)
    assert (taken.exit_code, "this is no folder" in taken.stderr) == (1, True)
    labels = tmp_path / "test.npz"
    outputs = Reference(np.zeros((2, 3), np.float32))
    assert math.isinf(outputs.effect(outputs.outputs).sqnr_db)
    np.savez(labels, x=images(2, 40), labels=np.full(40, 9))
    wrong = cli("diagnose", path, "--calib", calib, "--test", labels)
    assert (wrong.exit_code, "9 at index 0 is no output of the network" in wrong.stderr) == (1, True)
