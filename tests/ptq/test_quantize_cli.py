"""``accelsim quantize`` as a user types it, and the table of docs/quantize.md."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

from accelsim.cli import main
from accelsim.importers import resolve_model
from tests.ptq.networks import Net, float_model, images, save

DOCS = Path(__file__).parents[2] / "docs"


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return save(float_model("residual"), tmp_path)


@pytest.fixture
def calib(tmp_path: Path) -> Path:
    path = tmp_path / "calib.npz"
    np.savez(path, x=images(1, 4))
    return path


@pytest.mark.slow
def test_from_float_to_the_machine(tmp_path: Path) -> None:
    """The packaged network, without a file of one's own."""
    out, result = tmp_path / "w8a8.onnx", tmp_path / "result.json"
    options = ["--per-channel", "--test", "digits_float", "--evaluator", "onnxruntime"]
    done = cli("quantize", "digits_float", "-o", out, *options)
    assert done.exit_code == 0, done.output
    assert "digits_float_calib.npz" in done.stderr
    assert "arithmetic onnxruntime: the file's own" in done.stdout
    assert done.stdout.endswith(f"accelsim run {out}\n")
    match = re.search(r"accuracy over 450 inputs: float (\S+)%, fake-quantized (\S+)%", done.stdout)
    assert match
    fake = float(match[2])
    assert float(match[1]) > 97
    run = [
        "run",
        out,
        "--arch",
        "edge_16x16",
        "--input",
        "digits_float",
        "--json",
        result,
    ]
    assert cli(*run).exit_code == 0
    accuracy = json.loads(result.read_text())["values"]["accuracy"]
    assert abs(100 * accuracy - fake) <= 0.5
    assert resolve_model("digits_float").stat().st_size < 100_000


def test_the_table_shows_every_layer(network: Path, calib: Path, tmp_path: Path) -> None:
    out = tmp_path / "q.onnx"
    done = cli("quantize", network, "--calib", calib, "--weights", 3, "--acts", 5, "--layer", "gemm_12=w8a8", "-o", out)
    assert done.exit_code == 0, done.output
    rows = {line.split()[1]: line for line in done.stdout.splitlines() if re.match(r" ?[0-9]+  ", line)}
    assert "int3" in rows["conv_0"]
    assert "fused" in rows["conv_0"]
    assert "uint5" in rows["relu_2"]
    assert "int8" in rows["gemm_12"]
    assert "QONNX, ranges from 4 inputs" in done.stdout
    assert "arithmetic finn: the file's own" in done.stdout
    assert done.stdout.replace("\n", "").endswith(f"accelsim run {out}")
    assert {node.op_type for node in onnx.load(out).graph.node} >= {"Quant", "Conv"}


@pytest.mark.parametrize("weights", [4, 8, 16])
def test_sums_of_16_bit_codes_run_in_the_files_own_arithmetic(weights: int, calib: Path, tmp_path: Path) -> None:
    network, out = save(float_model("shortcut"), tmp_path), tmp_path / "q.onnx"
    done = cli("quantize", network, "--calib", calib, "--acts", 16, "--weights", weights, "-o", out)
    assert "arithmetic onnxruntime: the file's own" in done.stdout
    assert done.stdout.replace("\n", "").endswith(f"accelsim run {out}")
    assert cli("run", out, "--arch", "edge_16x16").exit_code == 0


@pytest.mark.parametrize("form", ["qdq", "qonnx"])
def test_formats_can_be_asked_for(form: str, network: Path, calib: Path, tmp_path: Path) -> None:
    out = tmp_path / "q.onnx"
    assert cli("quantize", network, "--calib", calib, "--format", form, "--power-of-two", "-o", out).exit_code == 0
    ops = {node.op_type for node in onnx.load(out).graph.node}
    assert ("Quant" in ops, "QuantizeLinear" in ops) == (form == "qonnx", form == "qdq")
    assert cli("import", out).exit_code == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (["--weights", 0], "weights: expected 1 to 16 bits, got 0"),
        (["--layer", "t1"], "expected NAME=w8a8"),
        (["--layer", "nothing=w4"], "the network has no such layer"),
        (["--percentile", 20], "percentile: expected more than 50"),
        (["--acts", 5, "--format", "qdq"], "QDQ has no uint5"),
        (["--test", "nothing.npz"], "nothing.npz: no such file"),
    ],
)
def test_one_clear_error_and_no_file(change: list[Any], text: str, network: Path, calib: Path, tmp_path: Path) -> None:
    out = tmp_path / "q.onnx"
    done = cli("quantize", network, "--calib", calib, "-o", out, *change)
    assert done.exit_code == 1
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calib.npz", "float.onnx"]


def test_no_calibration_data(network: Path, tmp_path: Path) -> None:
    done = cli("quantize", network, "-o", tmp_path / "q.onnx")
    assert done.exit_code == 1
    assert "no calibration data: give --calib FILE" in done.stderr


def test_files_are_kept_apart(network: Path, calib: Path, tmp_path: Path) -> None:
    assert "this is also an input file" in cli("quantize", network, "--calib", calib, "-o", network).stderr
    assert "ends in .onnx" in cli("quantize", network, "--calib", calib, "-o", tmp_path / "q.tflite").stderr
    unlabelled = cli("quantize", network, "--calib", calib, "--test", calib, "-o", tmp_path / "q.onnx")
    assert "has no 'labels'" in unlabelled.stderr
    other = tmp_path / "a.pb"
    other.write_bytes(b"")
    assert "a.pb: expected" in cli("quantize", other, "--calib", calib, "-o", tmp_path / "q.onnx").stderr


def test_an_evaluator_that_cannot_is_named(calib: Path, tmp_path: Path) -> None:
    net = Net(1, (1, 3, 8, 8))
    path = save(net.model(net.node("Conv", "x", net.normal(4, 5, 1, 1))), tmp_path)
    for name, other in (("onnx", "onnxruntime"), ("onnxruntime", "onnx")):
        done = cli("quantize", path, "--calib", calib, "--evaluator", name, "-o", tmp_path / "q.onnx")
        assert done.exit_code == 1
        assert f"the evaluator {name} cannot run the network" in done.stderr
        assert f"try {other}" in done.stderr


def test_a_float_network_says_how_to_run_it(tmp_path: Path) -> None:
    assert "accelsim quantize" in cli("run", "digits_float", "--arch", "edge_16x16").stderr
    assert "accelsim quantize" in cli("models").stdout


@pytest.mark.slow
def test_a_row_of_the_table_is_what_is_measured() -> None:
    """The docs' 4-bit row, by the script that wrote it; an image more or less where another processor sums in another order."""
    maker = docs_maker()
    row = maker.row(4)
    written = next(cells for cells in table_rows() if cells[0] == "4")
    made = maker.table([row]).splitlines()[-1]
    for ours, theirs in zip(re.findall(r"[\d.]+(?=%)", made), written[1:5], strict=True):
        assert abs(float(ours) - float(theirs)) <= 100 / row.images + 0.01
    assert row.codes["finn"] <= 10, "one image's logits"


def docs_maker() -> Any:
    """The script that writes the page's tables."""
    spec = importlib.util.spec_from_file_location("make_quantize", DOCS / "make_quantize.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    sys.modules["make_quantize"] = maker
    spec.loader.exec_module(maker)
    return maker


def table_rows(name: str = "table") -> list[list[str]]:
    """Numbers of each row of a table of the page."""
    text = (DOCS / "quantize.md").read_text(encoding="utf-8")
    text = text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    return [re.findall(r"\d[\d.,]*", line) for line in text.splitlines() if re.match(r"\| \d \|", line)]


def test_the_table_is_what_the_page_says_of_it() -> None:
    """Fake quantization and the matching machine answer alike; from 4 bits on, above 90 %."""
    rows = table_rows()
    assert [int(row[0]) for row in rows] == list(range(2, 9))
    for row in rows:
        fake, finn, single = (float(share) for share in row[1:4])
        assert max(abs(fake - finn), abs(fake - single)) <= 0.3
        assert fake > 90 or int(row[0]) < 4


def test_what_makes_calibration_doubtful_is_said(tmp_path: Path) -> None:
    """Few inferences, a tensor that never changes, a channel without weights, and labels that the float network does not meet."""
    net = Net(2, (1, 3, 8, 8))
    weights = net.rng.normal(0, 0.4, (4, 3, 1, 1))
    weights[2] = 0
    still = net.node("Relu", net.node("Conv", "x", net.constant(weights), net.constant([1, 1, -1, 1])))
    y = net.node("Gemm", net.node("Flatten", net.node("GlobalAveragePool", still)), net.normal(4, 3))
    y = net.node("Add", y, net.node("Mul", y, net.constant(0)))
    path, calib, test = save(net.model(y), tmp_path), tmp_path / "calib.npz", tmp_path / "test.npz"
    np.savez(calib, x=images(1, 4))
    made = cli("quantize", path, "--calib", calib, "-o", tmp_path / "made.onnx")
    assert made.exit_code == 0, made.output
    assert "calibration data hold 4 inferences, whose ranges others may leave; give 100 or so" in made.stderr
    assert "never changed over the calibration data, so that no range can be set" in made.stderr
    assert "layer 'conv_0': 1 of 4 output channels have no weights but zeros" in made.stderr
    labels = evaluate_labels(path, images(2, 40))
    np.savez(test, x=images(2, 40), labels=(labels + 1) % 3)
    np.savez(calib, x=images(1, 40))
    wrong = cli("quantize", path, "--calib", calib, "--test", test, "-o", tmp_path / "made.onnx")
    assert wrong.exit_code == 0, wrong.output
    assert "the float network meets 0.0% of 40 labels, as guessing among 3 classes would (33.3%)" in wrong.stderr
    assert "inferences, whose ranges" not in wrong.stderr


def evaluate_labels(path: Path, x: Any) -> Any:
    """The float network's own answers."""
    from accelsim.ptq import evaluate, read_float

    model = read_float(path)
    made = [tensors[model.outputs[0]] for tensors in evaluate(model, {"x": x})]
    return np.stack(made).reshape(len(x), -1).argmax(axis=1)
