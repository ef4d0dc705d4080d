"""A float network with switchable quantizers: all on it is the quantized file, all off the float network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.errors import ConfigError, InputError
from accelsim.ptq import Calibrated, Probe, Settings, Widths, calibrate_network, evaluate_model
from accelsim.ptq.evaluate import gather
from accelsim.ptq.network.proto import float_proto
from tests.ptq.networks import NETWORKS, SHAPE, Net, float_model, images, save
from tests.shared_models import model_path

Array = NDArray[np.float32]
ROUNDING = 1e-5
"""Share of the largest output that sums of float32 in another order may differ by."""
TIES = 0.01
"""Share of outputs that may be a step off, where such a sum falls on the other side of a tie between two codes."""


def calibrated(
    model: Any, folder: Path, x: Array | None = None, *, name: str = "float.onnx", **options: Any
) -> Calibrated:
    path = save(model, folder, name)
    return calibrate_network(path, {"x": images(1) if x is None else x}, settings=Settings(**options))


def by_file(held: Calibrated, inputs: dict[str, Any], **widths: Any) -> Array:
    batches = gather(held.network, inputs)
    made = evaluate_model(held.quantized(**widths).model, batches)
    return joined(made)


def by_float(held: Calibrated, inputs: dict[str, Any]) -> Array:
    return joined(evaluate_model(float_proto(held.network), gather(held.network, inputs)))


def joined(made: dict[str, Array]) -> Array:
    arrays = list(made.values())
    return arrays[0] if len(arrays) == 1 else np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)


def same(ours: Array, theirs: Array, *, rounding: float = ROUNDING) -> None:
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    off = np.abs(ours - theirs) > rounding * np.abs(theirs).max()
    assert off.mean() <= TIES


OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"weights": 4, "acts": 6, "per_channel": True, "range": "mse", "bias_correction": True},
    {"weights": 3, "acts": 5, "symmetric": True, "equalize": True},
    {"weights": 1, "acts": 4, "power_of_two": True},
    {"weights": 16, "acts": 16, "range": "percentile"},
)


@pytest.mark.parametrize("evaluator", ["onnx", "onnxruntime"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "branches"])
def test_all_on_is_the_file_and_all_off_the_float_network(
    name: str, options: dict[str, Any], evaluator: str, tmp_path: Path
) -> None:
    held = calibrated(float_model(name), tmp_path, **options)
    x = {"x": images(2, 8)}
    probe = Probe(held, x, evaluator=evaluator)
    # Sigmoid and Tanh of the two evaluators differ in the last bits, which 16-bit codes show.
    same(probe.outputs(probe.at()), by_file(held, x), rounding=1e-4 if options.get("acts") == 16 else ROUNDING)
    same(probe.outputs({}), by_float(held, x))


def test_softmax_and_concat(tmp_path: Path) -> None:
    """Softmax's input and output have codes of one sign, operands of a Concat one scale."""
    for options in ({"symmetric": True}, {}):
        held = calibrated(float_model("branches"), tmp_path, **options)
        x = {"x": images(2, 8)}
        probe = Probe(held, x)
        same(probe.outputs(probe.at()), by_file(held, x))


def operands(net: Net) -> str:
    """Constant operands of many numbers, which get 8-bit codes of their own in QDQ."""
    y = net.node("Relu", net.node("Conv", "x", net.normal(6, 3, 3, 3), pads=[1, 1, 1, 1]))
    return net.node("Mul", net.node("Add", y, net.normal(1, 6, 8, 8)), net.normal(1, 6, 8, 8))


@pytest.mark.parametrize("acts", [8, 4])
def test_constant_operands(acts: int, tmp_path: Path) -> None:
    net = Net(3, SHAPE)
    held = calibrated(net.model(operands(net)), tmp_path, acts=acts)
    x = {"x": images(2, 8)}
    probe = Probe(held, x)
    same(probe.outputs(probe.at()), by_file(held, x))
    constants = {q: 8 for q in probe.quantizers if q.kind == "weights" and "conv" not in q.layer}
    assert len(constants) == 2
    assert (probe.outputs(constants) != probe.outputs({})).any()


def pinned(net: Net) -> str:
    """A mean over the inferences would mix them: they go one by one."""
    y = net.node("Conv", "x", net.normal(4, 3, 3, 3))
    return net.node("ReduceMean", y, axes=[0], keepdims=1)


def reshaped(net: Net) -> str:
    """Shapes with a leading 1 do for several inferences."""
    y = net.node("Reshape", net.node("Relu", "x"), net.constant([1, -1], np.int64))
    return net.node("Gemm", y, net.normal(192, 5, size=0.05))


def split(net: Net) -> str:
    """The sum over all numbers of a Reshape that mixes inferences."""
    y = net.node("Conv", "x", net.normal(4, 3, 3, 3))
    y = net.node("Reshape", y, net.constant([12, 12], np.int64))
    return net.node("MatMul", y, net.normal(12, 3))


@pytest.mark.parametrize(("make", "together"), [(pinned, False), (reshaped, True), (split, False)])
def test_inferences_go_together_where_that_changes_none(
    make: Callable[[Net], str], together: bool, tmp_path: Path
) -> None:
    net = Net(4, SHAPE)
    held = calibrated(net.model(make(net)), tmp_path)
    x = {"x": images(2, 70)}
    probe = Probe(held, x)
    assert probe._engine.batched == together
    same(probe.outputs(probe.at()), by_file(held, x))


def test_two_outputs_are_joined(tmp_path: Path) -> None:
    net = Net(6, SHAPE)
    first = net.node("Conv", "x", net.normal(4, 3, 3, 3))
    second = net.node("GlobalAveragePool", net.node("Relu", first))
    held = calibrated(net.model(first, second), tmp_path)
    x = {"x": images(2, 5)}
    probe = Probe(held, x)
    assert probe.outputs({}).shape == (5, 4 * 36 + 4)
    same(probe.outputs(probe.at(acts=4)), by_file(held, x, acts=4))


def test_quantizers_are_named_by_layer(tmp_path: Path) -> None:
    held = calibrated(float_model("residual"), tmp_path)
    known = Probe(held, {"x": images(2, 2)}).quantizers
    assert [q.kind for q in known if q.layer == known[1].layer] == ["weights", "activations"]
    assert known[0].layer == "x"
    assert known[0].kind == "activations"
    products = [q for q in known if q.kind == "weights"]
    assert [q.layer for q in products] == list(held.products)
    named = [name for q in known if q.kind == "activations" for name in q.tensors]
    assert len(named) == len(set(named))


def test_one_quantizer_alone_and_all_but_one(tmp_path: Path) -> None:
    """Bits of one, bits of all others: what a run keeps of others' prefixes never shows."""
    held = calibrated(float_model("residual"), tmp_path)
    x = {"x": images(2, 8)}
    warm = Probe(held, x)
    everything = warm.at(weights=5, acts=5)
    runs = [{q: 3} for q in warm.quantizers] + [everything | {q: None} for q in warm.quantizers]
    made = [warm.outputs(active) for active in runs]
    assert len({values.tobytes() for values in made}) == len(runs)
    for active, values in zip(runs[::5], made[::5], strict=True):
        np.testing.assert_array_equal(Probe(held, x).outputs(active), values)


def test_what_is_kept_of_earlier_runs_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, x = calibrated(float_model("residual"), tmp_path), {"x": images(2, 8)}
    roomy, narrow = Probe(held, x), Probe(held, x)
    monkeypatch.setattr("accelsim.ptq.probe.probe.KEPT_BYTES", 1)
    for bits in (3, 8, 3):
        np.testing.assert_array_equal(narrow.outputs(narrow.at(acts=bits)), roomy.outputs(roomy.at(acts=bits)))
        assert len(narrow._engine.kept) == 1


def test_layers_of_other_widths(tmp_path: Path) -> None:
    held = calibrated(float_model("residual"), tmp_path, weights=4)
    x = {"x": images(2, 8)}
    probe = Probe(held, x)
    layers = {list(held.products)[1]: Widths(8, 4)}
    same(probe.outputs(probe.at(acts=6, layers=layers)), by_file(held, x, acts=6, layers=layers))


def test_other_settings_share_the_sessions(tmp_path: Path) -> None:
    held = calibrated(float_model("residual"), tmp_path, range="mse")
    x = {"x": images(2, 8)}
    probe = Probe(held, x)
    before = probe.outputs(probe.at(weights=4))
    for change in ({"per_channel": True}, {"bias_correction": True}, {"range": "minmax"}, {"symmetric": True}):
        other = probe.under(replace(held.settings, **change))
        same(other.outputs(other.at(weights=4)), by_file(other.calibrated, x, weights=4))
    np.testing.assert_array_equal(probe.outputs(probe.at(weights=4)), before)
    with pytest.raises(ConfigError, match="equalization changes the network"):
        probe.under(replace(held.settings, equalize=True))


def test_extremes_do_for_no_other_range(tmp_path: Path) -> None:
    probe = Probe(calibrated(float_model("shortcut"), tmp_path), {"x": images(2, 2)})
    with pytest.raises(ConfigError, match="range entropy needs all values, of which calibration kept extremes only"):
        probe.under(Settings(range="entropy"))


def test_refusals(tmp_path: Path) -> None:
    held = calibrated(float_model("shortcut"), tmp_path)
    probe = Probe(held, {"x": images(2, 2)})
    with pytest.raises(ConfigError, match="expected 1 to 16 bits, got 17"):
        probe.outputs({probe.quantizers[0]: 17})
    with pytest.raises(ConfigError, match="the network has none such"):
        probe.outputs({replace(probe.quantizers[0], layer="nowhere"): 8})
    with pytest.raises(InputError, match="expected \\(1, 3, 8, 8\\)"):
        Probe(held, {"x": images(2, 2)[:, :2]})
    with pytest.raises(ConfigError, match="evaluator 'torch'"):
        Probe(held, {"x": images(2, 2)}, evaluator="torch")


@pytest.mark.parametrize("name", ["ic_resnet8_fp32", "vww_mobilenetv1_fp32"])
def test_networks_of_others(name: str) -> None:
    from accelsim.ptq import read_float

    path = model_path(name)
    value = read_float(path).inputs[0]
    x = {value.name: np.random.default_rng(0).uniform(0, 1, (4, *value.shape)).astype(np.float32)}
    held = calibrate_network(path, x, settings=Settings(per_channel=True), evaluator="onnxruntime")
    probe = Probe(held, x)
    assert len(probe._engine.segments) > 4
    quantized = held.quantized(weights=4)
    theirs = evaluate_model(quantized.model, gather(held.network, x), evaluator="onnxruntime")
    same(probe.outputs(probe.at(weights=4)), joined(theirs))
