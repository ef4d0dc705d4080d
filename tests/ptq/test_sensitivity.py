"""Sensitivity of layers, and partial quantization."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from accelsim.cli import main
from accelsim.errors import ConfigError, InputError
from accelsim.ptq import Settings, Widths, evaluate_model
from accelsim.ptq.evaluate import gather
from accelsim.ptq.sensitivity import layer_sensitivity, layers_of, parse_loss, partial_quantization
from accelsim.ptq.study import Reference, Study, sqnr_db, study_of
from tests.ptq.networks import float_model, images, save


def study(folder: Path, name: str = "residual", *, labelled: bool = True, **options: object) -> Study:
    """Over 40 images of noise, labelled with the float network's own answers but for every fifth."""
    path = save(float_model(name), folder)
    x = {"x": images(1, 40)}
    found = study_of(path, x, settings=Settings(**options))  # type: ignore[arg-type]
    if not labelled:
        return found
    rows = found.reference.outputs.reshape(40, -1)
    labels = rows.argmax(axis=1)
    labels[::5] = (labels[::5] + 1) % rows.shape[1]
    return study_of(path, x, settings=found.calibrated.settings, labels=labels)


def test_each_cell_is_one_run_of_the_probe(tmp_path: Path) -> None:
    known = study(tmp_path)
    found = layer_sensitivity(known.probe, widths=(3, 8), kinds=("both", "weights"), labels=known.labels)
    assert found.table.shape == (len(found.layers), 2, 2)
    for i, (layer, own) in enumerate(layers_of(known.probe).items()):
        assert found.layers[i] == layer
        effect = known.reference.effect(known.probe.outputs(dict.fromkeys(own, 3)))
        assert found.table[i, 0, 0]["sqnr_db"] == effect.sqnr_db
        assert found.table[i, 0, 0]["accuracy"] == effect.accuracy
        has_weights = any(q.kind == "weights" for q in own)
        assert math.isnan(found.table[i, 1, 0]["sqnr_db"]) == (not has_weights)
    assert found.float_accuracy == pytest.approx(0.8)
    assert (found.table[:, 0, 1]["sqnr_db"] > found.table[:, 0, 0]["sqnr_db"]).all()


def test_the_inverse_quantizes_all_others(tmp_path: Path) -> None:
    known = study(tmp_path, labelled=False)
    found = layer_sensitivity(known.probe, widths=(4,), inverse=True)
    layers = layers_of(known.probe)
    for i, layer in enumerate(found.layers[::3]):
        others = {q: 4 for name, own in layers.items() if name != layer for q in own}
        effect = known.reference.effect(known.probe.outputs(others))
        assert found.table[3 * i, 0, 0]["sqnr_db"] == effect.sqnr_db
    everything = known.reference.effect(known.probe.outputs(dict.fromkeys(known.probe.quantizers, 4)))
    best = found.table[found.layers.index(found.order()[0]), 0, 0]
    assert best["sqnr_db"] > everything.sqnr_db
    assert best["sqnr_db"] == max(cell["sqnr_db"] for cell in found.table[:, 0, 0])


def test_effects() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (50, 7)).astype(np.float32)
    moved = (logits + rng.normal(0, 0.3, logits.shape)).astype(np.float32)
    labels = logits.argmax(axis=1)
    effect = Reference(logits, labels).effect(moved)
    p, q = (np.exp(a) / np.exp(a).sum(axis=1, keepdims=True) for a in (logits.astype(float), moved.astype(float)))
    assert effect.kl == pytest.approx(float((p * np.log(p / q)).sum(axis=1).mean()), rel=1e-5)
    assert effect.sqnr_db == pytest.approx(10 * math.log10((logits**2).sum() / ((moved - logits) ** 2).sum()), rel=1e-5)
    assert effect.accuracy == effect.agreement == (moved.argmax(axis=1) == labels).mean()
    shares = Reference(p.astype(np.float32)).effect(q.astype(np.float32))
    assert shares.kl == pytest.approx(effect.kl, rel=1e-3)
    same = Reference(logits).effect(logits)
    assert (same.sqnr_db, same.kl, same.agreement, same.accuracy) == (math.inf, 0.0, 1.0, None)
    image = Reference(rng.normal(0, 1, (4, 1, 8, 8)).astype(np.float32))
    assert not image.is_classifier
    assert math.isnan(image.effect(image.outputs).kl)
    assert sqnr_db(np.zeros(3), np.ones(3)) == -math.inf


def test_a_class_gone_is_dear_but_finite() -> None:
    p = np.array([[0.5, 0.5, 0.0]], np.float32)
    q = np.array([[1.0, 0.0, 0.0]], np.float32)
    assert Reference(p).effect(q).kl == pytest.approx(0.5 * math.log(0.5) + 0.5 * math.log(0.5 * 2**23), rel=1e-5)


@pytest.mark.parametrize(("limit", "bits"), [("12%", 4), ("15dB", 4), ("0.05kl", 4)])
def test_the_fewest_layers_are_kept_for_a_loss(limit: str, bits: int, tmp_path: Path) -> None:
    known = study(tmp_path, "shortcut", weights=bits, acts=bits, per_channel=True)
    loss = parse_loss(limit)
    found = partial_quantization(known.probe, known.inputs, limit=loss, labels=known.labels)
    assert not loss.is_met(found.before, known.reference)
    assert loss.is_met(found.after, known.reference)
    assert found.is_met
    assert 0 < len(found.kept) < len(found.order)
    for given_up in found.kept:  # none can go
        less = {name: widths for name, widths in found.kept.items() if name != given_up}
        assert not loss.is_met(
            known.reference.effect(known.probe.outputs(known.probe.at(layers=less))), known.reference
        )
    file = known.calibrated.quantized(layers=found.kept)
    made = next(iter(evaluate_model(file.model, gather(known.calibrated.network, known.inputs)).values()))
    assert known.reference.effect(made).sqnr_db == pytest.approx(found.verified.sqnr_db, abs=0.5)


def test_a_loss_that_cannot_be_met(tmp_path: Path) -> None:
    known = study(tmp_path, weights=4, acts=4)
    with pytest.raises(ConfigError, match=r"loss of 200 dB: not met with every layer at w16a16: \d+\.\d dB"):
        partial_quantization(known.probe, known.inputs, limit=parse_loss("200dB"))
    kept = partial_quantization(known.probe, known.inputs, limit=parse_loss("0dB"), keep=Widths(8, 8)).kept
    assert kept == {}


def test_layers_kept_beside_widths_that_only_qonnx_has(tmp_path: Path) -> None:
    """Its sums have 32 bits, too few for 16-bit weights and activations: the error says what to keep instead, which does."""
    known = study(tmp_path, weights=3, acts=3, per_channel=True)
    limit = parse_loss("25dB")
    with pytest.raises(ConfigError, match=r"keep fewer bits, as w8a16 or w8a8"):
        partial_quantization(known.probe, known.inputs, limit=limit)
    found = partial_quantization(known.probe, known.inputs, limit=limit, keep=Widths(8, 16))
    assert found.is_met
    assert found.quantized.dialect == "qonnx"


@pytest.mark.parametrize("text", ["", "half", "0.5", "-1%", "3 points", "%"])
def test_losses_of_no_form(text: str) -> None:
    with pytest.raises(ConfigError, match="expected points of accuracy"):
        parse_loss(text)


def test_labels_that_the_float_network_does_not_know(tmp_path: Path) -> None:
    path = save(float_model("residual"), tmp_path)
    x = {"x": images(1, 60)}
    right = study_of(path, x, settings=Settings()).reference.outputs.reshape(60, -1).argmax(axis=1)
    with pytest.raises(InputError, match=r"the float network meets 0.0% of 60 labels, as guessing among 10 classes"):
        study_of(path, x, settings=Settings(), labels=(right + 1) % 10)
    with pytest.raises(InputError, match="labels: expected 60 integers"):
        study_of(path, x, settings=Settings(), labels=right[:5])


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_the_command_of_the_packaged_network(tmp_path: Path) -> None:
    """The layers that it keeps are those of the command that it prints, which does what it says."""
    files = {end: tmp_path / f"study.{end}" for end in ("json", "csv", "html")}
    outputs = [text for end, path in files.items() for text in (f"--{end}", path)]
    options = ["--weights", 4, "--acts", 4, "--widths", "3,8", "--most-loss", "0.5%", "--test", "digits_float"]
    done = cli("sensitivity", "digits_float", *options, *outputs)
    assert done.exit_code == 0, done.output
    assert "98.22% in float" in done.stdout
    held = json.loads(files["json"].read_text())
    kept = held["partial"]["kept"]
    assert held["partial"]["met"]
    assert 0 < len(kept) < 5
    assert held["float_accuracy"] - held["partial"]["verified"]["accuracy"] <= 0.005
    rows = list(csv.DictReader(files["csv"].read_text().splitlines()))
    assert len(rows) == len(held["rows"]) == 2 * 9
    assert "Summary" in files["html"].read_text()
    words = held["partial"]["command"].split()
    assert words[:2] == ["accelsim", "quantize"]
    made = cli(*words[1:-1], tmp_path / "kept.onnx", "--test", "digits_float", "--evaluator", "onnxruntime")
    assert made.exit_code == 0, made.output
    assert f"fake-quantized {held['partial']['verified']['accuracy']:.2%}" in made.stdout


def test_refusals_on_the_command_line(tmp_path: Path) -> None:
    path = save(float_model("shortcut"), tmp_path)
    calib = tmp_path / "calib.npz"
    np.savez(calib, x=images(1, 2))
    for options, words in (
        ([], "no calibration data: give --calib FILE"),
        (["--calib", calib, "--widths", "two"], "--widths 'two': expected bits with commas"),
        (["--calib", calib, "--widths", "0,8"], "expected some of 1, 2, 3"),
        (["--calib", calib, "--keep", "16"], "--keep '16': expected bits as w16a16, w8 or a16"),
        (["--calib", calib, "--most-loss", "1"], "--most-loss '1': expected points of accuracy"),
    ):
        done = cli("sensitivity", path, *options)
        assert done.exit_code == 1
        assert words in done.stderr
        assert "Traceback" not in done.output
    few = cli("sensitivity", path, "--calib", calib, "--widths", "8")
    assert few.exit_code == 0
    assert "calibration data hold 2 inferences, whose ranges others may leave; give 100 or so" in few.stderr
