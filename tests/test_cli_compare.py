"""``accelsim compare`` with variants and ``--sensitivity``: what is read, what is written, what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result as CliResult

import accelsim
from accelsim.cli import main
from accelsim.cli.shared.variants import parse_variants
from accelsim.errors import ConfigError
from accelsim.explore import simulate_variants

NETWORK = "digits_cnn"
ARCH = ("--arch", "edge_16x16")
HALF = "half bw: dram.bandwidth_bytes_per_s=1.6 GB/s"


def cli(*arguments: str | Path, code: int = 0, width: str = "") -> CliResult:
    done = CliRunner().invoke(main, ["compare", *map(str, arguments)], env={"COLUMNS": width})
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


@pytest.mark.parametrize(
    ("text", "name", "edits"),
    [
        (HALF, "half bw", {"dram.bandwidth_bytes_per_s": "1.6 GB/s"}),
        ("a:array.rows=8,array.cols = 8 ", "a", {"array.rows": "8", "array.cols": "8"}),
        ("array.rows=8", "array.rows=8", {"array.rows": "8"}),
        ("arch=c:/machine.yaml", "arch=c:/machine.yaml", {"arch": "c:/machine.yaml"}),
        ("x: model=c:\\m.onnx", "x", {"model": "c:\\m.onnx"}),
        ('x: mapping="a, b.yaml", batch=2', "x", {"mapping": "a, b.yaml", "batch": "2"}),
        ("x: 'mapping=a, b.yaml', batch=2", "x", {"mapping": "a, b.yaml", "batch": "2"}),
        ('x: model="it\'s.onnx"', "x", {"model": "it's.onnx"}),
        ("x: tech.energy_table=a=b.yaml", "x", {"tech.energy_table": "a=b.yaml"}),
        ("x: name=#1", "x", {"name": "#1"}),
        ("x: array.rows=8,", "x", {"array.rows": "8"}),
        ("x: layers.conv:0.weights.bits=4", "x", {"layers.conv:0.weights.bits": "4"}),
    ],
)
def test_a_variant_is_a_name_and_edits(text: str, name: str, edits: dict[str, str]) -> None:
    assert {key: asked.edits for key, asked in parse_variants([text]).items()} == {name: edits}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["half bw"], "--variant 'half bw': expected NAME: KEY=VALUE"),
        (["half bw:"], "--variant 'half bw:': expected NAME: KEY=VALUE"),
        ([": array.rows=8"], "expected NAME: KEY=VALUE"),
        ([""], "expected NAME: KEY=VALUE"),
        (["x: rows"], "--variant 'x: rows': expected NAME: KEY=VALUE"),
        (["x: batch=2, rows"], "--variant 'x': 'rows': expected PATH=VALUE, for example array.rows=32"),
        (["x: array.rows=8, 9"], "--variant 'x': '9': expected PATH=VALUE"),
        (["x: array.rows=8, array.rows=9"], "--variant 'x': array.rows: given twice ('8' and '9')"),
        (["x: model=it's.onnx"], "--variant 'x': a quote in \"model=it's.onnx\" is not closed"),
        (["x: array.rows=8", "x: array.rows=9"], "--variant 'x': given twice"),
    ],
)
def test_what_is_no_variant_is_refused(texts: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_variants(texts)
    assert said in str(caught.value)


def test_variants_stand_beside_machines_and_say_what_moved() -> None:
    done = cli(
        NETWORK, *ARCH, "--arch", "os_16x16", "--variant", HALF, "--variant", "w4: weights.bits=4", "--threshold", "1"
    )
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[4:8]] == ["base", "os_16x16", "half bw", "w4"]
    assert HALF in lines
    assert "dram.bandwidth_bytes_per_s 3,200,000,000 → 1,600,000,000" in lines
    assert "bound changed: " in done.stdout
    assert (
        "accelsim: note: w4: weights.bits of 4: weights to be timed and priced, not executed"
        in done.stderr.splitlines()
    )
    found = simulate_variants(
        NETWORK, arch="edge_16x16", variants={"half bw": {"dram.bandwidth_bytes_per_s": "1.6 GB/s"}}
    )
    assert f"{found['half bw'].total.cycles:,}" in lines[6]


def test_machines_alone_print_as_the_comparison_of_their_results() -> None:
    results = [accelsim.simulate(NETWORK, arch=name) for name in ("edge_16x16", "os_16x16")]
    shown = cli(NETWORK, *ARCH, "--arch", "os_16x16").stdout.splitlines()
    wanted = str(accelsim.compare(results)).splitlines()
    assert [line.split() for line in shown] == [line.split() for line in wanted]
    twice = cli(NETWORK, *ARCH, *ARCH, "--json", "-").stdout
    assert [one["variant"] for one in json.loads(twice)["variants"]] == ["edge_16x16 (1)", "edge_16x16 (2)"]


def test_a_variant_on_another_machine_has_what_edits_all() -> None:
    done = cli(
        NETWORK, *ARCH, "--set", "array.rows=8", "--arithmetic", "litert-xnnpack", "--json", "-",
        "--variant", "os: arch=os_16x16", "--variant", "os 4: arch=os_16x16, array.rows=4", "--variant", "cols: array.cols=4",
        "--variant", "own: arithmetic=tflite-micro",
    )  # fmt: skip
    found = {one["variant"]: one for one in json.loads(done.stdout)["variants"]}
    arch = accelsim.load_arch("os_16x16").with_({"arithmetic": "litert-xnnpack"})
    for name, rows in (("os", 8), ("os 4", 4)):
        assert found[name]["cycles"] == accelsim.simulate(NETWORK, arch=arch.with_({"array.rows": rows})).total.cycles
    edge = accelsim.load_arch("edge_16x16").with_({"array.rows": 8, "array.cols": 4, "arithmetic": "litert-xnnpack"})
    assert found["cols"]["cycles"] == accelsim.simulate(NETWORK, arch=edge).total.cycles
    assert [found[name]["arithmetic"] for name in ("base", "os", "own")] == [
        "litert-xnnpack",
        "litert-xnnpack",
        "tflite-micro",
    ]


def test_files_of_variants(tmp_path: Path) -> None:
    paths = {suffix: tmp_path / f"found.{suffix}" for suffix in ("json", "csv", "html", "svg")}
    options = [f"--{'plot' if suffix == 'svg' else suffix}={path}" for suffix, path in paths.items()]
    table = cli(NETWORK, *ARCH, "--variant", HALF, *options).stdout
    assert "half bw" in table
    data = json.loads(paths["json"].read_text(encoding="utf-8"))
    assert [one["edits"] for one in data["variants"]] == [None, "dram.bandwidth_bytes_per_s=1.6 GB/s"]
    rows = list(csv.DictReader(io.StringIO(paths["csv"].read_text(encoding="utf-8"))))
    assert [row["variant"] for row in rows if not row["layer"]] == ["base", "half bw"]
    assert (
        int(rows[0]["cycles"])
        == data["variants"][0]["cycles"]
        == sum(int(row["cycles"]) for row in rows[1 : len(rows) // 2])
    )
    assert HALF in paths["html"].read_text(encoding="utf-8")
    assert paths["svg"].read_bytes().startswith(b"<?xml")
    again = cli(NETWORK, *ARCH, "--variant", HALF, "--csv", "-").stdout
    assert again == paths["csv"].read_text(encoding="utf-8")


def test_files_of_a_study(tmp_path: Path) -> None:
    paths = {suffix: tmp_path / f"found.{suffix}" for suffix in ("json", "csv", "html", "svg")}
    options = [f"--{'plot' if suffix == 'svg' else suffix}={path}" for suffix, path in paths.items()]
    table = cli(NETWORK, *ARCH, "--sensitivity", "--step", "1.2", "--objective", "energy", *options).stdout
    wanted = accelsim.sensitivity(NETWORK, arch="edge_16x16", step=1.2, objective="energy")
    assert paths["json"].read_text(encoding="utf-8") == wanted.to_json()
    rows = list(csv.DictReader(io.StringIO(paths["csv"].read_text(encoding="utf-8"))))
    assert [row["knob"] for row in rows] == [knob.path for knob in wanted.knobs]
    for knob in wanted.effective:
        assert knob.path in table
        assert knob.path in paths["html"].read_text(encoding="utf-8")
    assert "steps of 1.2, each mapped for least energy" in table
    assert paths["svg"].read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize("width", ["80", "120"])
def test_no_number_is_cut_on_a_narrow_page(width: str) -> None:
    for arguments in (["--variant", HALF], ["--sensitivity"]):
        done = cli(NETWORK, *ARCH, *arguments, width=width)
        assert max(map(len, done.stdout.splitlines())) <= int(width)
        assert "…" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--variant", "x: objectiv=edp"], "variant 'x': objectiv: unknown path; did you mean 'objective'?"),
        (["--variant", "x: array.row=8"], "variant 'x': array.row: unknown path; did you mean 'array.rows'?"),
        (["--variant", "x: array.rows=0"], "variant 'x': array.rows: expected at least 1, got 0"),
        (["--variant", "x: arch=edge_16x61"], "variant 'x': arch: edge_16x61: no such file"),
        (["--variant", "x: weights.bits=0"], "variant 'x': weights.bits: expected 1 to 16 bits, got '0'"),
        (["--variant", "base: array.rows=8"], "'base' names several of the machines and variants"),
        (["--arch", "os_16x16", "--variant", "os_16x16: array.rows=8"], "'os_16x16' names several"),
        (["--threshold", "nan"], "threshold: expected a share from 0 to 1, got nan"),
        (["--step", "2"], "--step 2: nothing is stepped; give --sensitivity too"),
        (["--sensitivity", "--step", "1"], "step: expected a factor above 1"),
        (["--sensitivity", "--arch", "os_16x16"], "--sensitivity: of one machine, got 2"),
        (["--sensitivity", "--variant", HALF], "--sensitivity: of one machine, without variants"),
        (["--sensitivity", "--mapping", "search"], "--mapping search: --sensitivity maps each machine by the default mapper"),
        (["--sensitivity", "--threshold", "1"], "--threshold 1: of layers"),
        (["--html", "-"], "name a file for --html"),
        (["--plot", "x.bmp"], "unknown picture format 'bmp'"),
    ],
)  # fmt: skip
def test_refusals_are_one_line_and_write_nothing(arguments: list[str], said: str, tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    done = cli(NETWORK, *ARCH, *arguments, "--json", target, code=1)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert (done.stdout, list(tmp_path.iterdir())) == ("", [])


@pytest.mark.parametrize("threshold", ["-1", "101", "much"])
def test_a_threshold_is_a_percentage(threshold: str) -> None:
    cli(NETWORK, *ARCH, "--threshold", threshold, code=2)


@pytest.mark.parametrize("key", ["arch", "mapping", "model"])
def test_a_file_that_a_variant_names_is_not_overwritten(tmp_path: Path, key: str) -> None:
    """Wherever it stands in the variant, quoted or not."""
    made = {
        "arch": ("machine.yaml", accelsim.load_arch("os_16x16").to_yaml().encode()),
        "mapping": ("tiles, mine.yaml", b"layers: {}\n"),
        "model": ("model.csv", b"Layer name,\n"),
    }
    name, content = made[key]
    path = tmp_path / name
    path.write_bytes(content)
    value = f'"{path}"' if "," in name else str(path)
    done = cli(NETWORK, *ARCH, "--variant", f"x: array.rows=8, {key}={value}", "--json", path, code=1)
    assert "this is also an input file" in done.stderr
    assert path.read_bytes() == content
