"""The command line: its contract with people (a table, one line per error) and with programs (JSON, exit codes)."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as CliResult

import accelsim
from accelsim.cli import main
from accelsim.cli.shared.files import check_outputs, write_bytes, write_text
from accelsim.cli.shared.options import parse_edits
from accelsim.errors import AccelsimError, ConfigError
from accelsim.importers import packaged_models
from accelsim.mapper import DEFAULT_OBJECTIVE

TABLE_ONLY = "alexnet_conv1_scalesim"
ARCH = ("--arch", "edge_16x16")


def cli(*arguments: str | Path, code: int = 0, env: dict[str, str] | None = None) -> CliResult:
    """Run the command line in this process; a traceback is a failure whatever the exit code."""
    done = CliRunner().invoke(main, [str(a) for a in arguments], env=env)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done


def error_of(*arguments: str | Path, code: int = 1) -> str:
    """The one line that a failing command leaves on stderr; stdout stays empty."""
    done = cli(*arguments, code=code)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    errors = [line for line in lines if line.startswith("accelsim: error: ")]
    assert len(errors) == 1
    assert lines[-1] == errors[0]
    return errors[0]


def process(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelsim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


# What people read


def test_import_prints_every_operator_and_the_ports() -> None:
    text = cli("import", "digits_cnn").stdout
    lines = text.splitlines()
    assert lines[0] == "digits_cnn_int8.tflite, 9 operators"
    assert [line.split()[1] for line in lines[4:13]][:3] == ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"]
    assert "approximate  nothing" in text
    assert "float32_half_even" in cli("import", "digits_cnn", "--arithmetic", "litert-xnnpack").stdout


def test_map_prints_every_mac_layer_and_writes_what_run_reads(tmp_path: Path) -> None:
    tiles = tmp_path / "tiles.yaml"
    patient = "--seconds", "300"  # compiling counts, and a search that is cut finds other tiles
    text = cli("map", "digits_cnn", *ARCH, "--objective", "edp", *patient, "--out", tiles).stdout
    assert text.splitlines()[0] == "digits_cnn_int8 on edge_16x16, tiles for the least edp"
    layers = [line.split()[:2] for line in text.splitlines() if line[:1].isdigit()]
    assert layers == [["0", "conv1"], ["1", "depthwise"], ["2", "pointwise"], ["4", "conv2"], ["7", "logits"]]
    assert tiles.read_text().splitlines()[0] == "objective: edp"
    shipped = cli("run", "digits_cnn", *ARCH, "--mapping", "search", "--objective", "edp", "--json", "-").stdout
    assert '"mapper": "search"' in shipped
    read = cli("run", "digits_cnn", *ARCH, "--mapping", tiles, "--json", "-").stdout
    assert read == shipped.replace('"mapper": "search"', '"mapper": "tiles.yaml"')
    assert "unknown key" in error_of("run", "digits_cnn", *ARCH, "--mapping", _wrong(tmp_path))


@pytest.mark.parametrize("command", [("run",), ("compare",), ("activity", "--sample", "2"), ("energy", "report")])
def test_every_command_that_maps_takes_an_objective(command: tuple[str, ...]) -> None:
    assert "default mapper, least edp" in cli(*command, "digits_cnn", *ARCH).stdout
    for objective in ("cycles", "energy"):
        out = cli(*command, "digits_cnn", *ARCH, "--mapping", "search", "--objective", objective).stdout
        assert f"search, least {objective}" in out
    said = error_of(*command, "digits_cnn", *ARCH, "--mapping", "energy")
    assert said.endswith("give --mapping search --objective energy")


def test_map_minimises_the_default_objective_and_says_so() -> None:
    assert cli("map", "digits_cnn", *ARCH).stdout.splitlines()[0].endswith(f"tiles for the least {DEFAULT_OBJECTIVE}")


def _wrong(folder: Path) -> Path:
    path = folder / "wrong.yaml"
    path.write_text("tile: 3\n")
    return path


def test_import_of_a_missing_file_is_one_line() -> None:
    assert "no such file" in error_of("import", "nothing.onnx")


def test_run_prints_layers_totals_energy_and_limits() -> None:
    out = cli("run", TABLE_ONLY, *ARCH).stdout
    for text in (
        "conv1",
        "CONV_2D",
        "105,415,200",
        "cycles",
        "util.",
        "bound",
        "DRAM read",
        "DRAM write",
        "buffers",
        "energy",
    ):
        assert text in out
    for text in (
        "latency",
        "inferences/s",
        "weights",
        "energy per MAC",
        "average power",
        "energy by component",
        "not modelled:",
    ):
        assert text in out
    assert "accuracy  —" in out


def test_run_digits_uses_the_inputs_that_ship_and_says_so() -> None:
    done = cli("run", "digits_cnn", *ARCH)
    assert "digits_test.npz" in done.stderr
    assert "98.44 % (443 of 450 inputs, bit-exact)" in done.stdout
    assert "450 inputs by whole-layer kernels; 1 also through the Program's tiles and buffers, same bits" in done.stdout
    assert "proved" in done.stdout


def test_the_other_width_of_the_workload_does_not_take_int8_inputs() -> None:
    done = cli("run", "digits_cnn_int16x8", *ARCH)
    assert "digits_test" not in done.output
    assert "no inputs were given" in done.stdout


def test_output_is_plain_where_there_is_no_terminal() -> None:
    process("run", TABLE_ONLY, *ARCH)  # what is still to be compiled is said once
    done = process("run", TABLE_ONLY, *ARCH)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == ""
    assert not any(line != line.rstrip() for line in done.stdout.splitlines())


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_columns_bounds_the_width(columns: int) -> None:
    out = cli("run", "mobilenet_v2", *ARCH, env={"COLUMNS": str(columns)}).stdout
    assert max(map(len, out.splitlines())) <= columns
    assert ("not shown for lack of width" in out) == (columns < 200)


def test_nothing_is_cut_without_a_terminal() -> None:
    out = cli("run", "resnet50", *ARCH, env={"COLUMNS": ""}).stdout
    assert "…" not in out
    assert all(f" {name} " in out for name in ("conv1", "conv5_3.spatial", "softmax"))


def test_an_ascii_page_is_no_reason_to_fail() -> None:
    done = process("run", TABLE_ONLY, *ARCH, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "105,415,200" in done.stdout


def test_set_changes_the_machine() -> None:
    small = json.loads(cli("run", TABLE_ONLY, *ARCH, "--json", "-").stdout)
    edits = ("--set", "array.rows=32", "--set", "array.cols=32", "--set", "weight_buffer.size_bytes=128 KiB")
    large = json.loads(cli("run", TABLE_ONLY, *ARCH, *edits, "--json", "-").stdout)
    assert (large["arch"]["array"]["rows"], large["arch"]["weight_buffer"]["size_bytes"]) == (32, 128 * 1024)
    assert large["total"]["cycles"] < small["total"]["cycles"]


def test_both_schedulers_print_the_same() -> None:
    assert cli("run", TABLE_ONLY, *ARCH).stdout == cli("run", TABLE_ONLY, *ARCH, "--scheduler", "simpy").stdout


def test_compare_lists_every_machine() -> None:
    out = cli("compare", TABLE_ONLY, *ARCH, "--arch", "tpu_v1").stdout
    assert "edge_16x16" in out
    assert "tpu_v1" in out
    assert "1.00" in out


def test_lists() -> None:
    ops = cli("ops").stdout
    for operator in accelsim.supported_operators():
        assert f"{operator.operator} " in ops
    archs = cli("archs").stdout
    for name in accelsim.preset_names():
        assert f"{name} " in archs
    models = cli("models").stdout
    for name in ("digits_cnn", "resnet50", "mobilenet_v2", "bert_base"):
        assert f"{name} " in models
    held = {line.split()[0]: line for line in models.splitlines() if line}
    assert held["digits_cnn"].endswith("weights and biases; test inputs in digits_test.npz")
    assert held["mobilenet_v2"].endswith("shapes only: cycles, traffic and energy, no values")
    assert held["digits_float"].endswith("real numbers, for accelsim quantize; test inputs in digits_float_test.npz")
    assert "…" not in ops + archs + models


def test_arch_show_prints_yaml_that_is_read_back(tmp_path: Path) -> None:
    text = cli("arch", "show", "edge_16x16", "--set", "array.rows=24").stdout
    file = tmp_path / "machine.yaml"
    file.write_text(text, encoding="utf-8")
    again = accelsim.load_arch(file)
    assert again.array.rows == 24
    assert again == accelsim.load_arch("edge_16x16", edits={"array.rows": 24})
    cli("run", TABLE_ONLY, "--arch", file)


def test_arch_schema_is_json() -> None:
    schema = json.loads(cli("arch", "schema").stdout)
    assert {"array", "dram", "clock_hz"} <= schema["properties"].keys()


def test_version_and_help() -> None:
    assert cli("--version").stdout.strip() == f"accelsim {accelsim.__version__}"
    assert "run" in cli("-h").stdout
    for command in ("run", "compare", "ops", "archs", "arch", "models"):
        assert cli(command, "--help").stdout.startswith("Usage:")


# What programs read


def test_json_contract(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    cli("run", "resnet50", *ARCH, "--json", file)
    content = json.loads(file.read_text(encoding="utf-8"))
    fields = ["name", "op", "macs", "cycles", "compute_cycles", "utilization", "bound"]
    fields += ["dram_read_bytes", "dram_write_bytes", "energy_pj"]
    assert len(content["layers"]) == 73
    for layer in content["layers"]:
        assert set(fields) <= layer.keys()
    total = content["total"]
    assert total["latency_s"] == pytest.approx(total["cycles"] / content["arch"]["clock_hz"])
    for field in ("macs", "cycles", "dram_read_bytes", "dram_write_bytes"):
        assert total[field] == sum(layer[field] for layer in content["layers"])
    assert total["energy_pj"] == pytest.approx(sum(layer["energy_pj"] for layer in content["layers"]))
    assert accelsim.Result.from_json(file.read_text(encoding="utf-8")).total.cycles == total["cycles"]


def test_csv_to_stdout_replaces_the_table() -> None:
    rows = list(csv.DictReader(cli("run", "resnet50", *ARCH, "--csv", "-").stdout.splitlines()))
    assert len(rows) == 73
    assert rows[0]["name"] == "conv1"


def test_all_files_at_once(tmp_path: Path) -> None:
    names = {"--json": "r.json", "--csv": "r.csv", "--trace": "t.json", "--plot": "p.png"}
    cli("run", TABLE_ONLY, *ARCH, *(part for option, name in names.items() for part in (option, tmp_path / name)))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names.values())
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))["traceEvents"]
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_tensors_of_every_layer(tmp_path: Path) -> None:
    file = tmp_path / "tensors.npz"
    with np.load(packaged_models()["digits_cnn"].parent / "digits_test.npz") as shipped:
        np.savez(tmp_path / "three.npz", input=shipped["input"][:3], labels=shipped["labels"][:3])
    cli("run", "digits_cnn", *ARCH, "--input", tmp_path / "three.npz", "--tensors", file, "--program-inputs", "all")
    graph = accelsim.load_graph(packaged_models()["digits_cnn"])
    with np.load(file) as tensors:
        for layer in graph.layers:
            assert tensors[layer.output].shape == (3, *graph.tensors[layer.output].shape[1:])
            assert tensors[layer.output].dtype.kind == "i"


@pytest.mark.parametrize(
    ("options", "taken", "why"),
    [
        ((), "finn", "the model's own; choose another with --arithmetic"),
        (("--arithmetic", "onnxruntime"), "onnxruntime", "chosen with --arithmetic"),
        (("--set", "arithmetic=tflite-micro"), "tflite-micro", "the machine edge_16x16 states it"),
        (("--set", "arithmetic=none"), "finn", "the model's own; choose another with --arithmetic"),
    ],
)
def test_the_arithmetic_taken_is_told_with_its_reason(options: tuple[str, ...], taken: str, why: str) -> None:
    inputs = str(packaged_models()["digits_w4a4"].with_name("digits_w4a4_test.npz"))
    done = cli("run", "digits_w4a4", *ARCH, *options, "--json", "-")
    assert f"accelsim: arithmetic {taken}: {why}\n" in done.stderr
    result = json.loads(done.stdout)
    assert (result["arithmetic"], result["arch"]["arithmetic"]) == (taken, taken)
    done = cli("verify", "digits_w4a4", *ARCH, *options, "--inputs", inputs, "--count", "1", "--tolerance", "9lsb")
    assert f"accelsim: arithmetic {taken}: {why}\n" in done.stderr


def test_arithmetic_is_chosen_by_name() -> None:
    result = json.loads(cli("run", "digits_cnn", *ARCH, "--arithmetic", "litert-reference", "--json", "-").stdout)
    assert result["arithmetic"] == "litert-reference"


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "no_such_model", *ARCH), "no_such_model"),
        (("run", TABLE_ONLY, "--arch", "edge_16x17"), "did you mean 'edge_16x16'"),
        (("run", TABLE_ONLY, *ARCH, "--set", "array.rows"), "expected PATH=VALUE"),
        (("run", TABLE_ONLY, *ARCH, "--set", "=3"), "expected PATH=VALUE"),
        (("run", TABLE_ONLY, *ARCH, "--set", "array.rows=2", "--set", "array.rows=3"), "given twice"),
        (("run", TABLE_ONLY, *ARCH, "--set", "array.rowz=3"), "array.rowz"),
        (("run", TABLE_ONLY, *ARCH, "--set", "array.rows=many"), "array.rows"),
        (("run", TABLE_ONLY, *ARCH, "--arithmetic", "tflite-mikro"), "tflite-micro"),
        (("run", TABLE_ONLY, *ARCH, "--input", "/no/such.npz"), "/no/such.npz"),
        (("run", TABLE_ONLY, *ARCH, "--json", "/no/such/dir/r.json"), "does not exist"),
        (("run", TABLE_ONLY, *ARCH, "--json", "/"), "is a directory"),
        (("run", TABLE_ONLY, *ARCH, "--plot", "picture.bmp"), ".png, .svg or .pdf"),
        (("run", TABLE_ONLY, *ARCH, "--json", "same", "--csv", "same"), "the file of --json"),
        (("run", TABLE_ONLY, *ARCH, "--tensors", "t.npz"), "give --input"),
        (("run", TABLE_ONLY, *ARCH, "--tensors", "-"), "name a file"),
        (("compare", TABLE_ONLY, "--arch", "nowhere"), "nowhere"),
        (("arch", "show", "nowhere"), "nowhere"),
    ],
)
def test_errors_are_one_line(
    arguments: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in error_of(*arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x00" * 100, b"not a model"])
def test_a_damaged_model_is_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(content)
    assert "model.tflite" in error_of("run", file, *ARCH)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # numpy leaves a broken archive open
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04damaged", b"[1, 2]"])
def test_damaged_inputs_are_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(content)
    assert "x.npz" in error_of("run", "digits_cnn", *ARCH, "--input", file)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("run",),
        ("run", TABLE_ONLY, *ARCH, "--scheduler", "fast"),
        ("run", TABLE_ONLY, *ARCH, "--program-inputs", "-1"),
        ("run", TABLE_ONLY, *ARCH, "--program-inputs", "some"),
        ("run", TABLE_ONLY, *ARCH, "--colour"),
        ("walk",),
    ],
)
def test_usage_errors_are_2(arguments: tuple[str, ...]) -> None:
    assert "Usage:" in cli(*arguments, code=2).stderr


def test_errors_leave_the_process_with_1_and_no_traceback() -> None:
    done = process("run", "no_such_model", *ARCH)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("accelsim: error: no_such_model")
    assert done.stderr.count("\n") == 1


def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m accelsim run resnet50 --arch edge_16x16 | head -n 1"
    for _ in range(2):  # what is still to be compiled is said once
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("resnet50")


def test_interrupt_is_130() -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("accelsim.simulation.run", interrupt)
        done = cli("run", TABLE_ONLY, *ARCH, code=130)
    assert done.stderr == "accelsim: interrupted\n"


def test_interrupted_process_leaves_no_half_file(tmp_path: Path) -> None:
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from accelsim.cli import main\n"
        "import accelsim.report.files as trace\n"
        "def slow(timeline, stream):\n"
        "    stream.write('half')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "trace.write_trace = slow\n"
        f"main(['run', '{TABLE_ONLY}', '--arch', 'edge_16x16', '--trace', r'{tmp_path / 't.json'}'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "writing\n"
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


# Files


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text("old", encoding="utf-8")

    def fail(stream: object) -> None:
        stream.write("new")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    with pytest.raises(AccelsimError, match="No space left"):
        write_text(str(file), fail)
    assert file.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_writing_keeps_mode_and_link(tmp_path: Path) -> None:
    file, link = tmp_path / "r.json", tmp_path / "link.json"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o640)
    link.symlink_to(file)
    write_text(str(link), lambda stream: stream.write("µ\n"))
    assert link.is_symlink()
    assert file.read_bytes() == "µ\n".encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_new_file_gets_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "by_open").touch()
    write_bytes(str(tmp_path / "by_us"), lambda stream: stream.write(b"x"))
    assert (tmp_path / "by_us").stat().st_mode == (tmp_path / "by_open").stat().st_mode


def test_a_device_is_written_in_place() -> None:
    before = Path("/dev/null").stat().st_mode
    check_outputs([("--json", "/dev/null"), ("--csv", "/dev/null")])
    write_text("/dev/null", lambda stream: stream.write("x"))
    assert Path("/dev/null").stat().st_mode == before
    assert stat.S_ISCHR(before)


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    np.savez(file, input=np.zeros((1, 8, 8, 1), np.int8))
    before = file.read_bytes()
    assert "an input file" in error_of(
        "run", "digits_cnn", *ARCH, "--input", file, "--tensors", tmp_path / "." / "x.npz"
    )
    assert file.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_write_protected_directory_is_found_before_the_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot write into" in error_of("run", TABLE_ONLY, *ARCH, "--json", tmp_path / "r.json")
    tmp_path.chmod(0o700)


def test_parse_edits() -> None:
    assert parse_edits(("a.b=1", "c = x=y")) == {"a.b": "1", "c": " x=y"}
    with pytest.raises(ConfigError, match="array"):
        parse_edits(("array",))


def test_verify_takes_no_single_number_for_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", input=np.int8(1))
    done = cli(
        "verify", "digits_cnn", "--arch", "edge_16x16", "--inputs", str(tmp_path / "x.npz"), "--count", "2", code=2
    )
    assert "expected" in done.stderr
