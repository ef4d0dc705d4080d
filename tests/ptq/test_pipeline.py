"""The papers' pipelines: what leaves the float network alone does, what corrects corrects, and bad data is told in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.importers import resolve_model
from accelsim.importers.onnx.file import OnnxModel
from accelsim.ptq import Settings, Widths, evaluate, evaluate_model, quantize_network, read_float
from accelsim.ptq.bias_correction import output_shift
from accelsim.ptq.equalization import reach_of, with_factors
from accelsim.ptq.network.float_network import read_norms
from accelsim.ptq.network.parameters import with_weights
from accelsim.ptq.network.products import products
from accelsim.ptq.network.proto import float_proto
from accelsim.ptq.pipeline import STEPS, AdaRound, Choices, Piped, prepare, run_pipeline
from accelsim.ptq.pipeline.absorption import absorbed, reached_bounds, without_idle_bounds
from accelsim.ptq.pipeline.fake import real_parameters, with_quantizers
from accelsim.ptq.pipeline.moments import moments_of, rectified
from accelsim.quant import Quantizer
from accelsim.simulation import read_inputs
from tests.importers.qonnx.oracle import Job, all_differences, needs_qonnx
from tests.ptq.networks import SHAPE, Array, Net, float_model, images, save
from tests.ptq.test_quantize_cli import DOCS, cli
from tests.ptq.test_quantize_equalize import results


def clipped(net: Net, *, bound: float, lift: float = 0.0, pads: int = 0) -> str:
    """Two convolutions with a RELU6 of that ``bound`` between them, and channels of sizes far apart."""
    scale = 10.0 ** net.rng.uniform(-1, 1, (6, 1, 1, 1))
    first = net.constant(net.rng.normal(0, 0.4, (6, 3, 3, 3)) * scale)
    y = net.node("Conv", "x", first, net.constant(net.rng.normal(0, 0.2, 6) + lift), pads=[1, 1, 1, 1])
    y = net.node("Clip", y, net.constant(0), net.constant(bound))
    y = net.node("Conv", y, net.normal(5, 6, 3, 3), net.normal(5), pads=[pads] * 4)
    return net.node("Gemm", net.node("Flatten", net.node("GlobalAveragePool", net.node("Relu", y))), net.normal(5, 4))


def network(build: Callable[[Net], str], folder: Path, seed: int = 1) -> OnnxModel:
    net = Net(seed, SHAPE)
    return read_float(save(net.model(build(net)), folder))


def same(before: Array, after: Array) -> bool:
    """Within rounding of float32."""
    return bool(np.abs(after - before).max() <= 3e-5 * np.abs(before).max())


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.sampled_from([0.5, 3.0, 1e3]), st.sampled_from([0.0, 8.0]), st.integers(0, 1))
def test_bounds_equalization_and_absorption_leave_the_output_alone(seed, bound, lift, pads):
    """A bound that many, few and no values reach; biases that lift whole channels above 0; with and without padding."""
    with TemporaryDirectory() as folder:
        model = network(lambda net: clipped(net, bound=bound, lift=lift, pads=pads), Path(folder), seed)
    x = images(seed, 6)
    before = results(model, x)
    idle, layers = without_idle_bounds(model, reach_of(model, {"x": x}))
    assert bool(layers) == (bound == 1e3)
    assert same(before, results(idle, x))
    reach = reach_of(idle, {"x": x})
    reach.bounds = reached_bounds(idle, reach)
    moved, factors = with_factors(idle, reach)
    assert len(factors) == 2
    assert same(before, results(moved, x))
    done, taken, kept = absorbed(moved, reach_of(moved, {"x": x}))
    assert same(before, results(done, x))
    if bound == 1e3 and lift:
        assert bool(kept) == bool(pads)
        assert any((c > 0).any() for c in taken.values()) or pads


def test_channels_that_reach_the_bound_keep_their_scale(tmp_path: Path) -> None:
    model, x = network(lambda net: clipped(net, bound=1.0), tmp_path), images(1, 6)
    reach = reach_of(model, {"x": x})
    reach.bounds = reached_bounds(model, reach)
    factors = with_factors(model, reach)[1]
    first = products(model)[0].outputs[0]
    reached = reach.highs[first] >= 1
    assert 0 < reached.sum() < 6
    assert (factors[first][reached] == 1).all()
    assert (factors[first][~reached] != 1).any()
    assert (reach.highs[first][~reached] / factors[first][~reached] <= 1 + 1e-9).all(), "none comes to the bound"


def test_absorption_by_hand(tmp_path: Path) -> None:
    """A channel that is 3 at least gives 3 to the next layer, whose weights of it are 2."""

    def build(net: Net) -> str:
        weights = np.zeros((2, 3, 1, 1), np.float32)
        y = net.node("Conv", "x", net.constant(weights), net.constant([3.0, -1.0]))
        return net.node("Conv", net.node("Relu", y), net.constant(np.full((1, 2, 1, 1), 2.0)), net.constant([0.5]))

    model = network(build, tmp_path)
    made, taken, kept = absorbed(model, reach_of(model, {"x": images(1, 8)}))
    first, second = products(made)
    assert made.constants[first.inputs[2]].tolist() == [0.0, -1.0]
    assert made.constants[second.inputs[2]].tolist() == [6.5]
    assert [c.tolist() for c in taken.values()] == [[3.0, 0.0]]
    assert kept == {}


@pytest.mark.parametrize("low", [-np.inf, 0.0, 0.5])
@pytest.mark.parametrize("high", [np.inf, 6.0, 1.5])
def test_a_cut_normals_mean_and_deviation(low: float, high: float) -> None:
    """Appendix C of 1906.04721 against a million draws."""
    mean, std = np.array([-2.0, 0.0, 0.7, 5.0, 9.0]), np.array([1.0, 2.0, 0.3, 1.5, 0.0])
    drawn = mean[:, None] + std[:, None] * np.random.default_rng(1).normal(size=(5, 1_000_000))
    drawn = np.clip(drawn, low, high)
    made = rectified(mean, std, low, high)
    assert np.abs(made[0] - drawn.mean(axis=1)).max() < 0.01
    assert np.abs(made[1] - drawn.std(axis=1)).max() < 0.01


def normalized(net: Net) -> str:
    """A normalization, whose output is normal where the input is: 1 x 1 kernels of orthogonal rows; then a rectifier and a layer."""
    rows = np.linalg.qr(net.rng.normal(size=(3, 3)))[0][:, :, None, None]
    y = net.node("Conv", "x", net.constant(rows))
    zero, one = net.constant(np.zeros(3)), net.constant(np.ones(3))
    gamma, beta = net.constant([0.5, 2.0, 1.0]), net.constant([1.0, -1.0, 4.0])
    y = net.node("BatchNormalization", y, gamma, beta, zero, one, epsilon=1e-12)
    y = net.node("Clip", y, net.constant(0), net.constant(6))
    return net.node("Conv", y, net.normal(5, 3, 1, 1), net.normal(5))


def test_analytic_correction_is_the_empirical_one(tmp_path: Path) -> None:
    """Standard normal inputs, so that the statistics are those of the data; 250,000 of each channel."""
    net = Net(4, (1, 3, 25, 25))
    path = save(net.model(normalized(net)), tmp_path)
    model = read_float(path)
    x = np.random.default_rng(2).normal(size=(400, 1, 3, 25, 25)).astype(np.float32)
    made = evaluate_model(float_proto(model), {"x": x}, evaluator="onnxruntime", names=["t2"])["t2"]
    shapes = {name: v.shape for name, v in next(evaluate(model, {"x": x[:1]})).items()}
    moments = moments_of(model, read_norms(path), shapes, {"x": (-4.0, 4.0)})
    layer = products(model)[1]
    weights = model.constants[layer.inputs[1]].astype(np.float64)
    error = np.round(weights / 0.2) * 0.2 - weights
    empirical = np.einsum("oc,c->o", error[:, :, 0, 0], made.mean(axis=(0, 1, 3, 4), dtype=np.float64))
    analytic = output_shift(layer, error, {layer.outputs[0]: moments["t2"].mean})
    assert np.abs(empirical).max() > 0.1
    assert np.abs(analytic - empirical).max() < 0.005
    values = moments["t2"].values
    assert (values[:, 0] >= 0).all()
    assert (values[:, -1] <= 6).all()


def test_cross_entropy_keeps_the_answers() -> None:
    """One far outlier among logits at 3 bits: square error keeps it in range, cross-entropy the order of the others."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (200, 5)).astype(np.float32)
    logits[0, 0] = -60
    quantizer = Quantizer(3)
    low, high = quantizer.least_cross_entropy_range(logits)
    assert -60 < low < high < logits.max() + 1e-6
    whole = (float(logits.min()), float(logits.max()))

    def answered(ends: tuple[float, float]) -> float:
        known = quantizer.parameters(*ends)
        codes = np.clip(np.rint(logits / known.scale) + known.zero_point, 0, 7)
        return float((codes.argmax(axis=1) == logits.argmax(axis=1)).mean())

    assert answered((low, high)) > answered(whole) + 0.2


@pytest.mark.parametrize("bits", [(4, 8), (3, 5), (8, 16)])
@pytest.mark.parametrize("name", ["residual", "functions"])
def test_what_steps_are_measured_by_is_what_the_file_computes(name: str, bits: tuple[int, int], tmp_path: Path) -> None:
    """The fake-quantized network in plain operators against the file by the reference evaluator; a tie may go elsewhere."""
    path, x = save(float_model(name), tmp_path), images(1)
    chosen = Settings(weights=bits[0], acts=bits[1], per_channel=True)
    made = quantize_network(path, {"x": x}, settings=chosen, evaluator="onnxruntime")
    held = {n.outputs[0]: real_parameters(n, made.weights[n.outputs[0]], made.acts) for n in products(made.source)}
    ours = results(with_quantizers(with_weights(made.source, held), made.acts), x)[:, None]
    (output,) = made.source.outputs
    theirs = evaluate_model(made.model, {"x": x[:, None]})[output]
    assert np.mean(np.abs(ours.reshape(theirs.shape) - theirs) > made.acts[output].scale / 2) < 0.02


def digits(weights: int, *, data: bool = True, **options: Any) -> Piped:
    path = resolve_model("digits_float")
    calibration = read_inputs(path.with_name("digits_float_calib.npz"))[0]
    chosen = Choices(adaround=AdaRound(iterations=300), input_range=(0.0, 1.0), **options)
    test = read_inputs(path.with_name("digits_float_test.npz"))
    return run_pipeline(
        path, calibration if data else None, name="nagel", settings=Settings(weights=weights), choices=chosen, test=test
    )  # fmt: skip


def scores(made: Piped) -> dict[str, float]:
    return {row.step: row.score.sqnr_db or 0.0 for row in made.rows}


@pytest.mark.slow
def test_nagels_order_on_digits() -> None:
    """4 bits, per tensor: the nearest rounding, corrected biases, AdaRound; each much better; the float answers to half a point."""
    learned, corrected = digits(4), digits(4, without_steps=("adaround",))
    nearest, biased = scores(corrected)["activation-ranges"], scores(corrected)["bias-correction"]
    assert nearest + 2 < biased
    assert biased + 2 < scores(learned)["cross-entropy"]
    assert learned.float_accuracy is not None
    last = learned.rows[-1].score.accuracy
    assert last is not None
    assert last >= learned.float_accuracy - 0.005


@pytest.mark.slow
def test_without_data_the_statistics_serve() -> None:
    made = digits(4, data=False)
    found = scores(made)
    assert found["equalization"] > found["quantizers"] + 3
    assert found["bias-correction"] > found["activation-ranges"] + 2
    assert made.quantized.calibration_inputs == 0


@needs_qonnx[0]
@needs_qonnx[1]
def test_four_bit_weights_of_the_pipeline_run_in_qonnx_and_on_integers(tmp_path: Path) -> None:
    """Each element of each quantized tensor of digits_float; 0 differ."""
    path = resolve_model("digits_float")
    calibration = read_inputs(path.with_name("digits_float_calib.npz"))[0]
    made = run_pipeline(
        path, calibration, name="nagel", settings=Settings(weights=4, per_channel=True), dialect="qonnx",
        choices=Choices(adaround=AdaRound(iterations=200)),
    ).quantized  # fmt: skip
    images_of = read_inputs(path.with_name("digits_float_test.npz"))[0]["input"][:8]
    file = save(made.model, tmp_path, "quantized.onnx")
    wrong, compared = all_differences([Job(file, made.graph, {"image": images_of[:, None]})])[0]
    assert (wrong, compared > 8 * 5000) == ({}, True)


def data(tmp_path: Path, x: Array | None = None, **more: Any) -> tuple[Path, Path]:
    """A float network and calibration data."""
    calib = tmp_path / "calib.npz"
    np.savez(calib, x=images(1, 12) if x is None else x, **more)
    return save(float_model("residual"), tmp_path), calib


def test_steps_are_switched_alone(tmp_path: Path) -> None:
    path, calib = data(tmp_path)
    command = ("quantize", path, "--calib", calib, "--pipeline", "nagel", "--weights", 4, "--adaround-iterations", 20)
    done = cli(*command, "--without", "equalization", "--with", "per-channel", "-o", tmp_path / "q.onnx")
    assert done.exit_code == 0, done.output
    steps = re.findall(r"^(\S+) +-?\d+\.\d", done.stdout, re.MULTILINE)
    assert steps == [
        "quantizers", "per-channel", "idle-bounds", "bias-absorption", "weight-ranges", "activation-ranges", "adaround", "cross-entropy",
    ]  # fmt: skip
    assert "measured on the 12 inputs of calibration" in done.stdout
    less = cli(*command, "--without", "adaround", "--range", "minmax", "-o", tmp_path / "q.onnx")
    assert "bias-correction" in less.stdout
    assert "by minmax" in less.stdout


def test_calibrations_side_by_side(tmp_path: Path) -> None:
    path, calib = data(tmp_path)
    done = cli("quantize", path, "--calib", calib, "--pipeline", "wu", "-o", tmp_path / "q.onnx")
    assert done.exit_code == 0, done.output
    head, line = re.search(r"^calibration +(.*)\n.*\nSQNR dB +(.*)$", done.stdout, re.MULTILINE).groups()  # type: ignore[union-attr]
    assert head.split() == ["max", "entropy", "99.9%", "99.99%", "99.999%", "99.9999%"]
    best = max(zip(map(float, line.split()), head.split(), strict=True))[0]
    chosen = re.search(r"^taken: (\S+);", done.stdout, re.MULTILINE)
    assert chosen is not None
    assert dict(zip(head.split(), map(float, line.split()), strict=True))[chosen[1]] == best


def test_weights_alone(tmp_path: Path) -> None:
    """Activations of 16 bits stand for real numbers."""
    path, calib = save(float_model("shortcut"), tmp_path), tmp_path / "calib.npz"
    np.savez(calib, x=images(1, 12))
    command = ("quantize", path, "--calib", calib, "--pipeline", "krishnamoorthi", "--with", "weight-only")
    done = cli(*command, "-o", tmp_path / "q.onnx")
    assert done.exit_code == 0, done.output
    assert "activations of 16 bits in place of real numbers" in done.stdout
    assert "uint16" in done.stdout
    assert "--acts says otherwise" in cli(*command, "--acts", 8, "-o", tmp_path / "q.onnx").stderr


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    path, calib = data(tmp_path)
    state, out = tmp_path / "state", tmp_path / "q.onnx"
    command = ("quantize", path, "--calib", calib, "--pipeline", "nagel", "--weights", 4, "--state", state, "-o", out)
    iterations = ("--adaround-iterations", 25)
    assert cli(*command, *iterations).exit_code == 0
    files, first = sorted(state.iterdir()), out.read_bytes()
    assert len(files) == 4
    files[1].unlink()
    files[2].write_bytes(files[2].read_bytes()[:40])
    done = cli(*command, *iterations)
    assert "2 of them as they were left" in done.stdout
    assert out.read_bytes() == first
    assert "as they were left" not in cli(*command, "--adaround-iterations", 26).stdout


def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "test.npz"
    np.savez(path, x=images(9, 40), labels=np.arange(40) % 10)
    return path


BAD: dict[str, tuple[Callable[[Path], dict[str, Any]], list[Any], str]] = {
    "too few": (lambda p: {"x": images(1, 3)}, [], "3 inferences are too few"),
    "all the same": (lambda p: {"x": np.repeat(images(1, 1), 9, axis=0)}, [], "all 9 inferences are the same"),
    "not a number": (lambda p: {"x": np.where(images(1, 9) > 2, np.nan, images(1, 9))}, [], "expected finite numbers"),
    "labels of another order": (lambda p: {"x": images(1, 9)}, ["--test"], "no more than chance of 10 classes would"),
    "an unknown step": (lambda p: {"x": images(1, 9)}, ["--with", "magic"], "--with magic: no such step"),
    "on and off": (
        lambda p: {"x": images(1, 9)},
        ["--with", "adaround", "--without", "adaround"],
        "switched on (--with) and off (--without)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_one_sentence(name: str, tmp_path: Path) -> None:
    arrays, options, text = BAD[name]
    path, calib = data(tmp_path, **arrays(tmp_path))
    options = [*options, labelled(tmp_path)] if options == ["--test"] else options
    out = tmp_path / "q.onnx"
    done = cli("quantize", path, "--calib", calib, "--pipeline", "nagel", *options, "-o", out)
    assert done.exit_code == 1
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not out.exists()


def test_no_data_and_no_statistics(tmp_path: Path) -> None:
    path, out = save(float_model("branches"), tmp_path), tmp_path / "q.onnx"
    done = cli("quantize", path, "--pipeline", "nagel", "-o", out)
    assert "no calibration data, and no batch normalization" in done.stderr
    with_norms = save(float_model("residual"), tmp_path, "norms.onnx")
    made = cli("quantize", with_norms, "--pipeline", "nagel", "-o", out)
    assert made.exit_code == 0, made.output
    assert "-4 to 4 is assumed; state it with --input-range" in made.stderr
    assert "step adaround: it needs calibration data" in cli(
        "quantize", with_norms, "--pipeline", "nagel", "--with", "adaround", "-o", out
    ).stderr  # fmt: skip
    assert "--state: it belongs to a pipeline" in cli("quantize", with_norms, "--state", tmp_path, "-o", out).stderr


def test_constant_channels_are_told(tmp_path: Path) -> None:
    x = images(1, 12)
    x[:, 1] = 0.25
    path, calib = data(tmp_path, x)
    done = cli("quantize", path, "--calib", calib, "--pipeline", "krishnamoorthi", "-o", tmp_path / "q.onnx")
    assert done.exit_code == 0
    assert "1 of 3 channels of input 'x' are constant (the first: 1)" in done.stderr


def test_statistics_do_not_pass_through_everything(tmp_path: Path) -> None:
    def build(net: Net) -> str:
        y = net.norm(net.node("Conv", "x", net.normal(4, 3, 1, 1)), 4)
        return net.node("Conv", net.node("Mul", y, net.node("Sigmoid", y)), net.normal(2, 4, 1, 1))

    net = Net(1, SHAPE)
    path = save(net.model(build(net)), tmp_path)
    with pytest.raises(InputError, match=r"do not pass through .* \(Mul\); give --calib"):
        run_pipeline(path, None, name="nagel")


def test_every_step_has_a_source() -> None:
    assert all(re.search(r"\d{4}\.\d{5}", step.source) for step in STEPS.values())


def page_rows(name: str) -> list[list[str]]:
    """Cells of the rows of a table of docs/pipeline.md."""
    text = (DOCS / "pipeline.md").read_text(encoding="utf-8").split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[3:] if line.startswith("|")
    ]


def test_the_page_shows_nagels_order() -> None:
    """Nearest < bias correction < AdaRound in both granularities; a scale per channel is better for the first and the last."""
    rows = page_rows("order")
    assert "4" in [row[0] for row in rows]
    for row in rows:
        if row[0] != "4":
            continue
        tensor, channel = [float(v) for v in row[1:4]], [float(v) for v in row[4:7]]
        for nearest, corrected, learned in (tensor, channel):
            assert nearest < corrected < learned
        assert tensor[0] < channel[0]
        assert tensor[2] < channel[2]


def test_the_page_shows_no_less_than_aimets() -> None:
    """With ranges by square error, and with AdaRound."""
    rows = page_rows("aimet")
    assert len(rows) >= 3
    for row in rows:
        aimet_mse, our_mse, aimet_learned, our_learned = (float(v) for v in row[5:9])
        assert our_mse >= aimet_mse
        assert our_learned >= max(aimet_learned, aimet_mse, float(row[3]))


MIXED = {"stem.conv": Widths(4, None), "residual.conv": Widths(3, 6)}


@pytest.mark.parametrize("bits", [None, 13])
def test_what_is_prepared_once_is_what_the_pipeline_makes(bits: int | None) -> None:
    """At mixed widths, behind others at which its layers were found before; with weights held to an accumulator too."""
    path = resolve_model("digits_float")
    x = {name: values[:16] for name, values in read_inputs(path.with_name("digits_float_calib.npz"))[0].items()}
    chosen = Choices(with_steps=("bias-correction",), adaround=AdaRound(iterations=10, inputs="float"))
    held = Settings(weights=8, per_channel=True, accumulator_bits=bits)
    prepared = prepare(path, x, name="nagel", settings=held, choices=chosen)
    prepared.quantized(weights=4, acts=8)
    rounded = dict(prepared.run.rounded)
    made = prepared.quantized(layers=MIXED)
    assert {key for key in prepared.run.rounded if key[1] == 4} == {key for key in rounded if key[1] == 4}
    whole = run_pipeline(
        path, x, name="nagel", settings=replace(held, layers=MIXED), choices=chosen, dialect=made.dialect
    )
    assert made.to_bytes() == whole.quantized.to_bytes()


def test_codes_from_float_inputs_do_not_follow_other_layers() -> None:
    """Those that are learned from what the layers before make do."""
    path = resolve_model("digits_float")
    x = {name: values[:16] for name, values in read_inputs(path.with_name("digits_float_calib.npz"))[0].items()}

    def last(inputs: Literal["quantized", "float"], layers: dict[str, Widths]) -> Any:
        chosen = Choices(adaround=AdaRound(iterations=10, inputs=inputs))
        made = run_pipeline(
            path, x, name="nagel", settings=Settings(weights=4, layers=layers), choices=chosen, dialect="qonnx"
        )
        return list(made.quantized.weights.values())[-1].codes

    coarse = {"stem.conv": Widths(2, None)}
    assert np.array_equal(last("float", {}), last("float", coarse))
    assert not np.array_equal(last("quantized", {}), last("quantized", coarse))
