"""Output files: never an input of the command by whatever name, whole or absent, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from accelsim.cli import main
from accelsim.cli.shared.files import OutputFile, write_bytes, write_text
from accelsim.energy import table_names
from accelsim.energy.table.read import tables_dir
from accelsim.importers import packaged_models

ARCH = ("--arch", "edge_16x16")
SUFFIX = {"--plot": ".svg", "--out": ".onnx"}


def same(path: Path) -> Path:
    return path


def dotted(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / path.name


def symlink(path: Path) -> Path:
    link = path.with_name(f"link{path.suffix}")
    link.symlink_to(path)
    return link


def hardlink(path: Path) -> Path:
    link = path.with_name(f"hard{path.suffix}")
    link.hardlink_to(path)
    return link


def through_a_linked_folder(path: Path) -> Path:
    folder = path.parent.with_name("folder")
    folder.symlink_to(path.parent)
    return folder / path.name


ALIASES: tuple[Callable[[Path], Path], ...] = (same, dotted, symlink, hardlink, through_a_linked_folder)


def machine(folder: Path, table: Path) -> Path:
    path = folder / "machine.yaml"
    text = CliRunner().invoke(main, ["arch", "show", "edge_16x16", "--set", f"tech.energy_table={table}"]).stdout
    path.write_text(text, encoding="utf-8")
    return path


def table(folder: Path) -> Path:
    path = folder / "table.yaml"
    path.write_bytes((tables_dir() / "horowitz_45nm.yaml").read_bytes())
    return path


def inputs(folder: Path) -> Path:
    path = folder / "x.npz"
    np.savez(path, input=np.zeros((1, 8, 8, 1), np.int8))
    return path


def copied(folder: Path, name: str) -> Path:
    model = packaged_models()[name]
    path = folder / model.name
    path.write_bytes(model.read_bytes())
    return path


def mapping(folder: Path) -> Path:
    path = folder / "tiles.yaml"
    path.write_text("layers: {}\n", encoding="utf-8")
    return path


Made = tuple[Path, list[str | Path]]
"""The file that is to survive, and the arguments that name it."""


def by_option(option: str, make: Callable[[Path], Path]) -> Callable[[Path], Made]:
    def made(folder: Path) -> Made:
        path = make(folder)
        return path, [option, path]

    return made


def model_of(name: str) -> Callable[[Path], Made]:
    def made(folder: Path) -> Made:
        path = copied(folder, name)
        return path, [path]

    return made


def table_by_edit(folder: Path) -> Made:
    path = table(folder)
    return path, [*ARCH, "--set", f"tech.energy_table={path}"]


def table_by_machine(folder: Path) -> Made:
    path = table(folder)
    return path, ["--arch", machine(folder, path)]


def the_machine(folder: Path) -> Made:
    path = machine(folder, table(folder))
    return path, ["--arch", path]


def the_space(folder: Path) -> Made:
    path = folder / "space.yaml"
    path.write_text("{workloads: [digits_cnn], axes: {array.rows: [8, 16]}}\n", encoding="utf-8")
    return path, [path, "--trials", "1"]


def the_swept_space(folder: Path) -> Made:
    path, (space, *_) = the_space(folder)
    return path, [space, "--out", folder / "swept"]


def their_output(folder: Path) -> Made:
    path = folder / "output.hex"
    path.write_text("00\n", encoding="utf-8")
    return path, [folder, path]


FLOAT = ("quantize", "diagnose", "sensitivity")
"""Commands on float networks, which know no machine."""
FLOAT_FILES = {
    "model": model_of("digits_float"),
    "--calib": by_option("--calib", inputs),
    "--test": by_option("--test", inputs),
}
MACHINES = {"--arch": the_machine, "the table of --set": table_by_edit, "the table of --arch": table_by_machine}
MODEL = {"model": model_of("digits_cnn")}
COMMANDS: dict[str, dict[str, Callable[[Path], Made]]] = {
    "run": {
        **MODEL, **MACHINES, "--inputs": by_option("--input", inputs), "--mapping": by_option("--mapping", mapping),
        "--state": by_option("--state", inputs),
    },
    "verify": {
        **MODEL, **MACHINES, "--inputs": by_option("--inputs", inputs),
        "--reference": by_option("--reference", lambda folder: copied(folder, "digits_cnn")),
    },
    "map": {**MODEL, **MACHINES},
    "compare": {**MODEL, **MACHINES, "--mapping": by_option("--mapping", mapping)},
    **dict.fromkeys(FLOAT, FLOAT_FILES),
    "search-bits": {**FLOAT_FILES, **MACHINES},
    "compare-vectors": {"theirs": their_output},
    "workload": {},
    "pareto": {},
    "guided": {"space": the_space},
    "sweep": {"space": the_swept_space},
}  # fmt: skip
"""Commands that write files, and every way of naming a file that one of them reads."""


def commands(group: click.Group = main) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from commands(command)


def outputs(command: str) -> list[str]:
    return [max(p.opts, key=len) for p in main.commands[command].params if isinstance(p.type, OutputFile)]


CASES = [
    (command, named, option) for command, ways in COMMANDS.items() for named in ways for option in outputs(command)
]


def test_the_cases_hold_every_command_that_writes_and_every_file_it_reads() -> None:
    writing = {c.name for c in commands() if any(isinstance(p.type, OutputFile) for p in c.params)}
    assert writing == set(COMMANDS)
    for command in writing:
        reads = {
            max(p.opts, key=len)
            for p in main.commands[command].params
            if (p.metavar in ("FILE", "ARCH") or max(p.opts, key=len) in ("--mapping", "model", "space", "theirs"))
            and not isinstance(p.type, OutputFile)
        }
        assert reads == {name for name in COMMANDS[command] if not name.startswith("the table")}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize(("command", "named", "option"), CASES)
def test_no_output_is_an_input(
    tmp_path: Path, command: str, named: str, option: str, alias: Callable[[Path], Path]
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    path, arguments = COMMANDS[command][named](folder)
    if option in SUFFIX and command != "map":  # what ends otherwise is refused for that
        renamed = path.with_suffix(SUFFIX[option])
        path.rename(renamed)
        arguments = [renamed if a == path else str(a).replace(str(path), str(renamed)) for a in arguments]
        if named == "the table of --arch":
            machine(folder, renamed)
        path = renamed
    if named not in ("model", "space", "theirs"):
        arguments = ["digits_float" if command in (*FLOAT, "search-bits") else "digits_cnn", *arguments]
    if named not in MACHINES and command not in (*FLOAT, "guided", "sweep", "compare-vectors"):
        arguments += ARCH
    before = path.read_bytes()
    done = CliRunner().invoke(main, [command, *map(str, arguments), option, str(alias(path))])
    assert done.exit_code == (2 if command in ("verify", "compare-vectors") else 1), done.output
    assert "this is also an input file" in done.stderr
    assert done.stderr.count("\n") == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("alias", ALIASES[2:])
@pytest.mark.parametrize(
    ("first", "second"), [(a, b) for a in outputs("run") for b in outputs("run") if a != b and "--plot" not in (a, b)]
)
def test_no_two_outputs_are_one_file(tmp_path: Path, first: str, second: str, alias: Callable[[Path], Path]) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    path = folder / "r"
    path.write_bytes(b"old")
    done = CliRunner().invoke(main, ["run", "digits_cnn", *ARCH, first, str(path), second, str(alias(path))])
    assert (done.exit_code, path.read_bytes()) == (1, b"old")
    assert "this is also the file of" in done.stderr


def process(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelsim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_a_file_that_only_a_model_names_is_not_overwritten(tmp_path: Path) -> None:
    model = onnx.load(next(p for p in packaged_models().values() if p.suffix == ".onnx" and "float" not in p.stem))
    path, data = tmp_path / "m.onnx", tmp_path / "m.data"
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=0)
    before = data.read_bytes()
    done = process("run", path, *ARCH, "--json", data)
    assert (done.returncode, data.read_bytes()) == (1, before), done.stderr
    assert "this is also an input file" in done.stderr


def test_a_table_that_fills_another_is_not_overwritten(tmp_path: Path) -> None:
    lender, borrower = table(tmp_path), tmp_path / "borrower.yaml"
    shipped = next(n for n in table_names() if "from: horowitz_45nm" in _text(n))
    borrower.write_text(_text(shipped).replace("from: horowitz_45nm", f"from: {lender}"), encoding="utf-8")
    before = lender.read_bytes()
    done = process("run", "digits_cnn", *ARCH, "--set", f"tech.energy_table={borrower}", "--json", lender)
    assert (done.returncode, lender.read_bytes()) == (1, before), done.stderr


def _text(name: str) -> str:
    return (tables_dir() / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_what_ships_is_not_overwritten(tmp_path: Path, option: str) -> None:
    """A workload by its name, and the inputs that ship with it, by links to them."""
    for name in ("digits_cnn_int8.tflite", "digits_test.npz"):
        link = tmp_path / name
        link.symlink_to(packaged_models()["digits_cnn"].with_name(name))
        before = link.read_bytes()
        done = process("run", "digits_cnn", *ARCH, option, link)
        assert (done.returncode, link.read_bytes()) == (1, before), done.stderr


WRITE = """
import os, signal, sys
from accelsim.cli.shared import files
{prelude}
def killed(stream):
    stream.write(b"half")
    os.kill(os.getpid(), signal.{signal})
files.write_bytes(sys.argv[1], killed)
"""


def kill_a_write(path: Path, *, by: str = "SIGKILL", prelude: str = "") -> int:
    code = WRITE.format(prelude=prelude, signal=by)
    return subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False).returncode


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="unnamed files are Linux's")
@pytest.mark.parametrize("by", ["SIGKILL", "SIGTERM"])
def test_a_killed_write_leaves_nothing(tmp_path: Path, by: str) -> None:
    path = tmp_path / "r.json"
    path.write_text("old")
    assert kill_a_write(path, by=by) == -getattr(signal, by)
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    assert path.read_text() == "old"


def test_what_a_killed_write_left_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no unnamed files; what others call alike stays."""
    path, other = tmp_path / "r.json", tmp_path / ".r.json.mine.tmp"
    other.touch()
    kill_a_write(path, prelude="import accelsim.files; accelsim.files._UNNAMED = False")
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr("accelsim.files._UNNAMED", False)
    write_bytes(str(path), lambda stream: stream.write(b"new"))
    assert sorted(tmp_path.iterdir()) == [other, path]
    assert path.read_bytes() == b"new"


def test_where_links_are_forbidden_a_copy_takes_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", forbidden)
    path = tmp_path / "r.json"
    write_bytes(str(path), lambda stream: stream.write(b"new"))
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"new", [path])


def test_an_input_of_one_command_may_be_the_output_of_the_next(tmp_path: Path) -> None:
    tiles = str(tmp_path / "tiles.yaml")
    for _ in range(2):
        for command in (["map", "digits_cnn", *ARCH, "--out", tiles], ["run", "digits_cnn", *ARCH, "--mapping", tiles]):
            assert CliRunner().invoke(main, command).exit_code == 0


def test_the_file_of_a_live_write_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.files._UNNAMED", False)
    path = tmp_path / "r.json"

    def while_another_writes(stream: object) -> None:
        stream.write("outer")  # type: ignore[attr-defined]
        write_text(str(path), lambda inner: inner.write("inner"))

    write_text(str(path), while_another_writes)
    assert path.read_text() == "outer"
    assert list(tmp_path.iterdir()) == [path]


def test_sigterm_ends_a_run_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from accelsim.cli import main\n"
        "import accelsim.report.files as trace\n"
        "def slow(timeline, stream):\n"
        "    stream.write('half' * 100_000)\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "trace.write_trace = slow\n"
        f"main(['run', 'digits_cnn', '--arch', 'edge_16x16', '--trace', r'{tmp_path / 't.json'}'])\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "writing\n"
        time.sleep(0.1)
        running.terminate()
        _, errors = running.communicate(timeout=10)
    assert running.returncode == -signal.SIGTERM
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
