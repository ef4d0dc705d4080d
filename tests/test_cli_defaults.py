"""What a command takes where nothing is said: the machine, the inputs; and that it says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as CliResult

import accelsim
from accelsim.arch import DEFAULT_ARCH
from accelsim.cli import main
from accelsim.errors import GraphError, ModelFileError
from accelsim.execute import random_inputs
from accelsim.importers import load_graph, resolve_model

DIGITS = resolve_model("digits_cnn")
SAID = f"accelsim: machine {DEFAULT_ARCH} (default; --arch chooses another)"


def cli(*arguments: str | Path, code: int = 0) -> CliResult:
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A network without inputs beside it."""
    path = tmp_path / "own.tflite"
    path.write_bytes(DIGITS.read_bytes())
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "digits_cnn"),
        ("map", "digits_cnn", "--seconds", "300"),  # a busy machine must not end the search
        ("compare", "digits_cnn"),
        ("energy", "report", "digits_cnn"),
        ("activity", "digits_cnn", "--sample", "2"),
        ("verify", "digits_cnn", "--count", "1", "--tolerance", "9lsb"),
    ],
)
def test_the_machine_may_be_left_out_and_is_named(arguments: tuple[str, ...]) -> None:
    left_out, named = cli(*arguments), cli(*arguments, "--arch", DEFAULT_ARCH)
    assert left_out.stdout == named.stdout
    assert left_out.stderr.splitlines().count(SAID) == 1
    assert SAID not in named.stderr


def test_the_list_of_machines_marks_it() -> None:
    assert f"{DEFAULT_ARCH} (default)" in cli("archs").stdout


def test_python_takes_the_same_machine() -> None:
    assert accelsim.simulate("digits_cnn") == accelsim.simulate("digits_cnn", arch=DEFAULT_ARCH)
    assert accelsim.verify("digits_cnn", random_count=1).arch == accelsim.load_arch().name == DEFAULT_ARCH


def test_verify_draws_inputs_by_a_seed_and_says_so(own: Path) -> None:
    options = ("verify", own, "--count", "2", "--tolerance", "9lsb")
    first, again, other = (cli(*options, "--seed", seed) for seed in ("0", "0", "1"))
    assert "accelsim: 2 random inputs, seed 0; --input for real ones" in first.stderr
    assert first.stderr.count("--input for real ones") == 1
    assert "2 random inputs, seed 0" in first.stdout
    assert first.stdout == again.stdout != other.stdout
    assert "seed 1" in other.stdout


def test_a_seed_that_draws_nothing_is_no_silent_wish() -> None:
    refused = cli("verify", "digits_cnn", "--input", "digits_cnn", "--seed", "3", code=2)
    assert "--seed 3: of random inputs, but --input digits_cnn gives others" in refused.stderr
    options = ("verify", "digits_cnn", "--count", "1", "--tolerance", "9lsb")
    told = cli(*options, "--seed", "3")
    assert "--seed 3 draws nothing" in told.stderr
    assert told.stdout == cli(*options).stdout


@pytest.mark.parametrize(
    "edits",
    [
        (),
        ("array.weight_bits=4",),
        ("cores.split=rows", "dma.zero_run_bits=2"),
        ("activation_buffer.resident_bytes=64",),
    ],
)
def test_map_and_verify_say_of_the_machine_what_run_says(edits: tuple[str, ...]) -> None:
    options = ("digits_cnn", "--arch", "edge_lpddr4", *(word for edit in edits for word in ("--set", edit)))
    run, mapped, verified = (
        [line for line in cli(command, *options, *more).stderr.splitlines() if ": note: " in line]
        for command, *more in (("run",), ("map",), ("verify", "--count", "1", "--tolerance", "9lsb"))
    )
    assert run
    assert mapped == verified == run


def test_verify_draws_64_where_no_number_is_given(own: Path) -> None:
    assert "64 random inputs, seed 0" in cli("verify", own, "--tolerance", "9lsb").stdout


def test_random_inputs_reach_both_ends_of_the_format() -> None:
    graph = load_graph("digits_cnn")
    (codes,) = random_inputs(graph, count=200, seed=3).values()
    assert (codes.min(), codes.max(), codes.dtype, codes.shape) == (-128, 127, np.int8, (200, 1, 8, 8, 1))
    assert abs(np.mean(codes) + 0.5) < 2


@pytest.mark.parametrize("option", ["--input", "--inputs"])
@pytest.mark.parametrize("command", ["run", "activity", "accumulators", "verify"])
def test_real_numbers_are_quantized_and_that_is_said(command: str, option: str, own: Path, tmp_path: Path) -> None:
    graph = load_graph("digits_cnn")
    tensor = graph.tensors[graph.inputs[0].tensor]
    codes = np.arange(-128, 128).reshape(4, 8, 8, 1)
    real = (codes - tensor.zero_point) * np.float64(tensor.scale)
    outputs = []
    for name, values in (("codes", codes), ("real", real)):
        path = tmp_path / f"{name}.npz"
        np.savez(path, input=values)
        outputs.append(CliRunner().invoke(main, [command, str(own), "--arch", DEFAULT_ARCH, option, str(path)]))
    of_codes, of_real = outputs
    said = "holds real numbers: quantized to int8 with the model file's scale 0.00392157 and zero point -128"
    assert of_real.stderr.count(said) == 1
    assert said not in of_codes.stderr
    assert of_real.exit_code == of_codes.exit_code
    assert [line for line in of_real.stdout.splitlines() if said not in line] == of_codes.stdout.splitlines()


def test_load_graph_takes_what_simulate_takes(tmp_path: Path) -> None:
    graph = load_graph("digits_cnn")
    for model in (DIGITS, str(DIGITS), graph):
        assert [layer.name for layer in load_graph(model).layers] == [layer.name for layer in graph.layers]
    assert load_graph(graph, arithmetic=graph.arithmetic) is graph
    with pytest.raises(
        GraphError, match="imported for arithmetic 'tflite-micro'; for another load its model file again"
    ):
        load_graph(graph, arithmetic="litert-reference")
    with pytest.raises(ModelFileError, match="no packaged workload; .*did you mean 'digits_cnn'"):
        load_graph("digits_cn")


def test_the_layers_of_a_quantization_go_by_any_form(tmp_path: Path) -> None:
    """The index, the end, and the whole name give one file; what means several or none is one error with candidates."""
    files = []
    for i, name in enumerate(("2", "thwise.conv", "depthwise.conv")):
        files.append(tmp_path / f"{i}.onnx")
        cli("quantize", "digits_float", "--layer", f"{name}=w4a8", "-o", files[-1])
    assert len({path.read_bytes() for path in files}) == 1
    assert cli("run", files[0]).stdout.count("depthwise.conv") == 1
    for name, text in (
        ("conv", r"several layers are meant: 'stem.conv' (0), 'depthwise.conv' (2)"),
        ("stem.cnv", "'stem.conv'"),
    ):
        done = cli("quantize", "digits_float", "--layer", f"{name}=w4a8", "-o", tmp_path / "none.onnx", code=1)
        assert text in done.stderr
        assert not (tmp_path / "none.onnx").exists()


@pytest.mark.parametrize("form", ["qdq", "qonnx"])
def test_a_layer_has_one_name_in_every_command(form: str, tmp_path: Path) -> None:
    """What quantize prints is what every command calls the layer, whatever the dialect of the file."""
    path, table = tmp_path / "net.onnx", tmp_path / "net.csv"
    quantized = cli("quantize", "digits_float", "--format", form, "-o", path).stdout
    names = [layer.name for layer in load_graph(path).layers]
    assert {"stem.conv", "residual.conv", "pool", "logits"} <= set(names)
    mac = [layer.name for layer in load_graph(path).layers if layer.macs]
    printed = {
        "quantize": quantized,
        "import": cli("import", path).stdout,
        "run": cli("run", path, "--csv", table).stdout,
        "csv": table.read_text(),
        "json": cli("run", path, "--json", "-").stdout,
        "map": cli("map", path).stdout,
        "verify": cli("verify", path, "--count", "1").stdout,
        "energy": cli("energy", "report", path).stdout,
        "accumulators": cli("accumulators", path).stdout,
        "activity": cli("activity", path, "--input", "digits_float", "--sample", "2").stdout,
    }
    for command, text in printed.items():
        assert [name for name in mac if name not in text] == [], command
