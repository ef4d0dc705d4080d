"""Accuracy beside cost: what the machine's own integers meet, each distinct arithmetic computed once, by whoever computes it."""

from __future__ import annotations

import json
import multiprocessing
import shlex
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import accelsim
from accelsim.arch import load_arch
from accelsim.cli import main
from accelsim.errors import AccelsimError, ConfigError, InputError
from accelsim.execute import accumulator_formats, share_correct
from accelsim.explore import ProcessPool, accuracy, guided_search, pareto, read_space
from accelsim.explore.float_network import Quantize
from accelsim.explore.sensitivity import _knobs
from accelsim.importers import inputs_file, load_graph, resolve_model
from accelsim.ptq import Settings, Widths, quantize_network
from tests.explore.sweep.spaces import same_tables, written

FLOAT = "digits_float"
TEST, LABELS = accelsim.read_inputs(inputs_file(FLOAT))
CALIBRATION, _ = accelsim.read_inputs(resolve_model(FLOAT).with_name("digits_float_calib.npz"))
SPACE: dict[str, Any] = {
    "workloads": [FLOAT],
    "quantize": {"per_channel": True, "layers": {"logits": "w8"}},
    "accuracy": FLOAT,
    "axes": {"array.rows": [8, 16], "weights.bits": [3, 8], "groups.wise.activations.bits": [4, 8]},
    "groups": {"wise": ["*wise*"]},
    "constraints": ["accuracy > 0.9"],
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("accuracy") / "results"
    accelsim.sweep(SPACE, out=folder)
    return folder


def test_rows_are_those_of_the_network_quantized_by_hand(swept: Path) -> None:
    table = accelsim.read_sweep(swept)
    assert len(table) == 8
    for row in table.to_dict("records"):
        bits, acts = row["weights.bits"], row["groups.wise.activations.bits"]
        reads = {"stem.relu": Widths(None, acts), "depthwise.relu": Widths(None, acts)}
        settings = Settings(weights=bits, per_channel=True, layers={"logits": Widths(8), **reads})
        made = quantize_network(resolve_model(FLOAT), CALIBRATION, settings=settings, dialect="qonnx")
        machine = load_arch("edge_16x16").with_({"array.rows": row["array.rows"]})
        result = accelsim.run(made.graph, arch=machine, inputs=TEST, labels=LABELS).result
        assert result.values is not None
        assert row["accuracy"] == result.values.accuracy
        assert row["cycles"] == result.total.cycles
        assert row["energy_pj"] == pytest.approx(result.total.energy_pj, rel=1e-12)
        assert row["feasible"] == (row["accuracy"] > 0.9)
    assert table["accuracy"].nunique() > 2
    assert set(table["feasible"]) == {True, False}


def test_each_arithmetic_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = list[int]()

    def counted(*given: Any) -> float:
        computed.append(1)
        return share_correct(*given)

    monkeypatch.setattr(accuracy, "share_correct", counted)
    data = tmp_path / "data.npz"  # which no test before has asked about
    np.savez(data, labels=LABELS, **TEST)
    axes = SPACE["axes"] | {"activation_buffer.size_bytes": ["16 KiB", "32 KiB", "64 KiB"]}
    space = SPACE | {"axes": axes, "accuracy": str(data)}

    def stops(_: str, done: int, total: int) -> None:
        if 0 < done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        accelsim.sweep(space, out=tmp_path / "out", progress=stops)
    assert len(computed) == 1
    accelsim.sweep(space, out=tmp_path / "out")
    assert len(computed) == 4
    assert len(accelsim.read_sweep(tmp_path / "out")) == 24


def test_processes_give_the_same_files(swept: Path, tmp_path: Path) -> None:
    with ProcessPool(2) as pool:
        accelsim.sweep(SPACE, out=tmp_path, executor=pool)
    assert all(path.read_bytes() == (swept / "run-1" / path.name).read_bytes() for path in tmp_path.glob("run-1/c*"))
    assert (tmp_path / "run-1" / "accuracies-1-of-1.json").read_bytes() == (
        swept / "run-1" / "accuracies-1-of-1.json"
    ).read_bytes()
    same_tables(swept, tmp_path)


def test_a_worker_that_dies_loses_nothing(swept: Path, tmp_path: Path) -> None:
    killed = list[int]()

    def progress(stage: str, _: int, __: int) -> None:
        if stage == "accuracies" and not killed:
            killed.append(1)
            multiprocessing.active_children()[0].kill()

    with ProcessPool(2) as pool:
        accelsim.sweep(SPACE, out=tmp_path, executor=pool, progress=progress)
    assert killed
    same_tables(swept, tmp_path)


def test_sums_that_saturate_follow_the_machine(tmp_path: Path) -> None:
    """Their order does, and that is the tiles'."""
    few = tmp_path / "few.npz"
    np.savez(few, labels=LABELS[:12], **{name: array[:12] for name, array in TEST.items()})
    path = tmp_path / "q.onnx"
    made = quantize_network(resolve_model(FLOAT), CALIBRATION)
    path.write_bytes(made.to_bytes())
    axes = {"array.rows": [4, 16], "accumulator.bits": [13, 32]}
    edits = {"accumulator.overflow": ["saturate"], **axes}
    space = {"workloads": [str(path)], "accuracy": str(few), "axes": edits}
    accelsim.sweep(space, out=tmp_path / "out")
    few_inputs = {name: array[:12] for name, array in TEST.items()}
    for row in accelsim.read_sweep(tmp_path / "out").to_dict("records"):
        machine = load_arch("edge_16x16").with_({name: row[name] for name in edits})
        values = accelsim.run(str(path), arch=machine, inputs=few_inputs, labels=LABELS[:12]).result.values
        assert values is not None
        assert values.reader == ("program" if row["accumulator.bits"] == 13 else "layers")
        assert row["accuracy"] == values.accuracy


def test_values_follow_no_other_parameter() -> None:
    """Every number of a machine: where sums wrap, only those of VALUE_PATHS change what they hold."""
    machine = load_arch("edge_16x16").with_({"accumulator.bits": 13, "accumulator.overflow": "wrap"})
    graph = load_graph("digits_cnn")
    own, tried = accumulator_formats(graph, machine), 0
    for path, value in _knobs(machine):
        for factor in (2, 0.5):
            try:
                other = machine.with_({path: type(value)(value * factor)})
            except AccelsimError:
                continue
            tried += 1
            if accumulator_formats(graph, other) != own or other.accumulator.overflow != "wrap":
                assert accuracy.is_value_path(path)
    assert tried > 20


def test_evaluate_knows_the_same(swept: Path) -> None:
    edits = [
        {"array.rows": 8, "weights.bits": 3},
        {"batch": 2},
        {"arithmetic": "tosa"},
        {"layers.logits.weights.bits": 40},
    ]
    options = {"per_channel": True, "format": "qonnx", "layers": {"logits": "w8"}}
    table = accelsim.evaluate(FLOAT, arch="edge_16x16", edits=edits, inputs=TEST, labels=LABELS, quantize=options)
    same = accelsim.read_sweep(swept).query(
        "`array.rows` == 8 and `weights.bits` == 3 and `groups.wise.activations.bits` == 8"
    )
    assert table["accuracy"][0] == same["accuracy"].iloc[0]
    assert table["cycles"][0] == same["cycles"].iloc[0]
    assert 0.9 < table["accuracy"][1] <= 1
    assert "expected 1 to 16 bits, got 40" in table["error"][3]
    assert np.isnan(table["accuracy"][3])
    plain = accelsim.evaluate(FLOAT, arch="edge_16x16", edits=edits[:2], quantize=options)
    assert np.isnan(plain["accuracy"]).all()
    assert plain["cycles"].tolist() == table["cycles"][:2].tolist()


def test_commands_say_the_widths_that_no_axis_has(tmp_path: Path) -> None:
    space = {
        "workloads": [FLOAT],
        "quantize": {"weights": 4, "layers": {"logits": "w8"}},
        "axes": {"activations.bits": [4, 8]},
    }
    accelsim.sweep(space, out=tmp_path)
    (front,) = pareto(accelsim.read_sweep(tmp_path), ("latency_s", "energy_pj"))
    assert front.rows
    for row in front.rows:
        words = shlex.split(row["command"])
        at = {name: words[words.index(name) + 1] for name in ("--weights", "--acts", "--layer")}
        assert at == {"--weights": "4", "--acts": str(row["activations.bits"]), "--layer": "logits=w8"}


def test_calibration_by_workload_is_found_by_its_name(tmp_path: Path) -> None:
    few = tmp_path / "few.npz"
    np.savez(few, **{name: values[:3] for name, values in CALIBRATION.items()})
    table = {}
    for name, calib in (("by_name", {FLOAT: str(few)}), ("for_all", str(few))):
        space = {"workloads": [FLOAT], "quantize": {"calib": calib}, "axes": {"weights.bits": [8]}, "accuracy": FLOAT}
        accelsim.sweep(space, out=tmp_path / name)
        about = json.loads((tmp_path / name / "run-1" / "sweep.json").read_text(encoding="utf-8"))
        table[name] = accelsim.read_sweep(tmp_path / name).drop(columns="key"), about["data"]
    assert table["by_name"][0].equals(table["for_all"][0])
    assert table["by_name"][1] == table["for_all"][1]
    assert f"calibration of {FLOAT}" in table["by_name"][1]


def test_a_guided_search_takes_accuracy_as_an_objective() -> None:
    found = guided_search(
        SPACE | {"constraints": []}, trials=6, objectives=("energy_pj", "accuracy"), maximise=["accuracy"], seed=1
    )
    assert len(found.table) == 6
    assert all(trial.values[1] == row for trial, row in zip(found.study.trials, found.table["accuracy"], strict=True))


def test_printed_commands_give_the_row(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def cli(*words: str) -> str:
        done = CliRunner().invoke(main, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    cli("pareto", str(swept), "--x", "energy_pj", "--y", "accuracy", "--maximise", "accuracy", "--json", "front.json")
    rows = json.loads(Path("front.json").read_text(encoding="utf-8"))["fronts"][0]["rows"]
    assert rows
    for row in rows:
        quantizing, running = (shlex.split(part)[1:] for part in row["command"].split(" && "))
        cli(*quantizing)
        result = json.loads(cli(*running, "--json", "-"))
        assert result["total"]["energy_pj"] == pytest.approx(row["energy_pj"], rel=1e-12)
        assert result["values"]["accuracy"] == row["accuracy"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"quantize": None},
            r"axes\.weights\.bits: what other widths do to the values of a quantized file is not known",
        ),
        ({"accuracy": None}, r"'accuracy > 0\.9': needs inputs and labels; give accuracy: FILE in the space"),
        (
            {"accuracy": {"digits_flaot": FLOAT}},
            r"no inputs for digits_float.*no such workload; did you mean 'digits_float'",
        ),
        ({"accuracy": 3}, r"accuracy: expected an \.npz of inputs with 'labels'"),
        ({"quantize": {"per_chanel": True}}, r"quantize: .*per_chanel.*per_channel"),
        ({"quantize": {"weights": 99}}, "expected 1 to 16 bits, got 99"),
        ({"quantize": {"layers": {"logits": "8 bits"}}}, "expected NAME=w8a8"),
        ({"quantize": {"layers": ["logits"]}}, "expected layers, each with its bits"),
    ],
)
def test_spaces_that_cannot_be(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    space = {key: value for key, value in (SPACE | change).items() if value is not None}
    with pytest.raises(ConfigError, match=message):
        read_space(written(tmp_path, space))


def test_inputs_that_do_not_fit(tmp_path: Path) -> None:
    bare, wrong = tmp_path / "bare.npz", tmp_path / "wrong.npz"
    np.savez(bare, **TEST)
    np.savez(wrong, labels=LABELS[:-1], **TEST)
    with pytest.raises(InputError, match=r"bare\.npz: it has no 'labels'"):
        accelsim.sweep(SPACE | {"accuracy": str(bare)}, out=tmp_path / "a")
    with pytest.raises(InputError, match=r"accuracy: .*wrong\.npz: labels: expected 450 integers, got shape"):
        accelsim.sweep(SPACE | {"accuracy": str(wrong)}, out=tmp_path / "b")
    codes = tmp_path / "codes.npz"
    np.savez(codes, labels=LABELS, input=TEST["input"].astype(np.int8))
    with pytest.raises(
        InputError, match=r"codes\.npz: input 'input' holds int8, which would be codes .*; give real numbers"
    ):
        accelsim.sweep(SPACE | {"accuracy": str(codes)}, out=tmp_path / "c")
    calib = SPACE | {"quantize": {"calib": str(tmp_path / "flat.npz")}}
    np.savez(tmp_path / "flat.npz", input=TEST["input"].reshape(450, 64))
    with pytest.raises(InputError, match=r"flat\.npz: calibration data: input 'image' has shape"):
        accelsim.sweep(calib, out=tmp_path / "d")
    with pytest.raises(InputError, match="labels: missing beside inputs"):
        accelsim.evaluate(FLOAT, arch="edge_16x16", edits=[{}], inputs=TEST, quantize={})
    with pytest.raises(InputError, match="no calibration data in nowhere"):
        accelsim.evaluate(FLOAT, arch="edge_16x16", edits=[{}], quantize={"calib": "nowhere.npz"})
    with pytest.raises(InputError, match="carries shapes only"):
        accelsim.evaluate("alexnet", arch="edge_16x16", edits=[{}], inputs=TEST, labels=LABELS)


def test_each_workload_has_its_own_data(tmp_path: Path) -> None:
    """A copy of the network under another name, with calibration and inputs elsewhere."""
    other = tmp_path / "other.onnx"
    shutil.copy(resolve_model(FLOAT), other)
    np.savez(tmp_path / "few.npz", **{name: values[:20] for name, values in CALIBRATION.items()})
    np.savez(tmp_path / "half.npz", labels=LABELS[::2], **{name: values[::2] for name, values in TEST.items()})
    space = {
        "workloads": [FLOAT, str(other)],
        "quantize": {"calib": {str(other): str(tmp_path / "few.npz")}},
        "accuracy": {FLOAT: FLOAT, str(other): str(tmp_path / "half.npz")},
        "axes": {"weights.bits": [4]},
    }
    accelsim.sweep(space, out=tmp_path / "out")
    own, copied = accelsim.read_sweep(tmp_path / "out")["accuracy"]
    made = quantize_network(
        other, {name: values[:20] for name, values in CALIBRATION.items()}, settings=Settings(weights=4)
    )
    assert copied == share_correct(
        made.graph, load_arch("edge_16x16"), {name: values[::2] for name, values in TEST.items()}, LABELS[::2]
    )
    assert own != copied


def test_a_name_that_stands_for_several_layers_says_so(tmp_path: Path) -> None:
    axes = {"layers.conv.weights.bits": [4]}
    with pytest.raises(
        ConfigError, match=r"axes\.layers\.conv\.weights\.bits: among the layers with weights several layers are meant"
    ):
        accelsim.sweep(SPACE | {"axes": axes, "groups": {}, "constraints": []}, out=tmp_path)


def test_a_graph_is_no_float_network() -> None:
    with pytest.raises(ConfigError, match="is a Graph, which has integers"):
        accelsim.evaluate(load_graph("digits_cnn"), arch="edge_16x16", edits=[{}], quantize={})


def test_changed_data_are_found_out(tmp_path: Path) -> None:
    data = tmp_path / "labelled.npz"
    np.savez(data, labels=LABELS, **TEST)
    space = SPACE | {"accuracy": str(data), "axes": {"array.rows": [8]}, "constraints": []}
    accelsim.sweep(space, out=tmp_path / "out")
    np.savez(data, labels=LABELS[::-1], **TEST)
    with pytest.raises(AccelsimError, match=r"differs in the data .*labelled\.npz"):
        accelsim.sweep(space, out=tmp_path / "out")
    accelsim.sweep(space, out=tmp_path / "out", rerun=True)
    before, after = (accelsim.read_sweep(tmp_path / "out" / name)["accuracy"][0] for name in ("run-1", "run-2"))
    assert after < before


def test_options_are_those_of_quantize() -> None:
    """One set of names and defaults: of a space, of the settings, and of the command."""
    options = Quantize.model_fields
    for field in fields(Settings):
        assert field.name == "layers" or options[field.name].default == field.default
    given = main.commands["quantize"].params
    command = {
        name: not getattr(option, "is_flag", False) and option.default for option in given for name in option.opts
    }
    steps = {"with_steps": "--with", "without_steps": "--without"}
    assert {*steps.values()} <= {*command}
    for name in set(options) - {"calib", "layers", *steps}:
        assert command[f"--{name.replace('_', '-')}"] == options[name].default
    piped = {"pipeline", "adaround_iterations", *steps}
    assert {field.name for field in fields(Settings)} == set(options) - {"calib", "format", "evaluator", *piped}
