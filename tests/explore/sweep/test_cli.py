"""``accelsim sweep``: what it says, how it ends."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import accelsim
from accelsim.cli import main
from accelsim.cli.shared import console
from tests.explore.sweep.spaces import SMALL, same_tables, written


def cli(*arguments: object, code: int = 0) -> Result:
    """Run the command line in this process; a traceback is a failure."""
    done = CliRunner().invoke(main, ["sweep", *map(str, arguments)])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done


def test_a_sweep_says_what_it_came_to_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    space, out = written(tmp_path, SMALL), tmp_path / "out"
    first = cli(space, "--out", out, "--shard", "2/2")
    assert re.fullmatch(r"64 points of shard 2/2.*: \d+ feasible, \d+ failed; .*/out/run-1\n", first.stdout)
    second = cli(space, "--out", out)
    assert second.stdout.startswith("144 points, 64 of them before, 16 left out: ")
    assert "64 failed" in second.stdout
    assert "64 points: activation_buffer: a double-buffered memory needs 2 bytes or more" in second.stderr
    assert cli(space, "--out", out).stdout.startswith("144 points, 144 of them before, 16 left out: ")


def test_where_nothing_is_feasible_every_constraint_says_what_it_costs(tmp_path: Path) -> None:
    space = SMALL | {"constraints": ["array.rows < 16", "latency_s < 0", "area_um2 < 1.2e6"]}
    done = cli(written(tmp_path, space), "--out", tmp_path / "out")
    valid = accelsim.read_sweep(tmp_path / "out").query("error == ''")
    large = (valid["area_um2"] >= 1.2e6).sum()
    assert 0 < large < len(valid) == 48
    assert "48 of 48 rows without error do not keep latency_s < 0\n" in done.stderr
    assert f"{large} of 48 rows without error do not keep area_um2 < 1.2e6\n" in done.stderr
    assert "array.rows < 16" not in done.stderr
    assert "do not keep" not in cli(written(tmp_path, SMALL), "--out", tmp_path / "other").stderr


def test_jobs_make_the_same_table(tmp_path: Path) -> None:
    space = written(tmp_path, SMALL)
    cli(space, "--out", tmp_path / "one")
    cli(space, "--out", tmp_path / "two", "--jobs", "2")
    same_tables(tmp_path / "one", tmp_path / "two")


def test_what_has_changed_is_refused_in_one_line(tmp_path: Path) -> None:
    cli(written(tmp_path, SMALL), "--out", tmp_path / "out")
    other = written(tmp_path, SMALL | {"objective": "cycles"}, "other.yaml")
    refused = cli(other, "--out", tmp_path / "out", code=1)
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1
    assert "differs in the space (objective); --rerun (rerun=True) begins anew beside it" in refused.stderr
    assert "run-2" in cli(other, "--out", tmp_path / "out", "--rerun").stdout


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/2/3"])
def test_shards_that_are_none_are_usage_errors(tmp_path: Path, shard: str) -> None:
    assert "is not i/n" in cli(written(tmp_path, SMALL), "--out", tmp_path / "out", "--shard", shard, code=2).stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["file", "file/in/it"])
def test_a_folder_that_cannot_be(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    (line,) = cli(written(tmp_path, SMALL), "--out", tmp_path / out, code=1).stderr.splitlines()
    assert "cannot be written" in line


def test_without_a_terminal_progress_is_a_line_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = written(tmp_path, SMALL)
    quiet = cli(space, "--out", tmp_path / "quiet").stderr
    assert not re.search(r" of 144 points", quiet)
    monkeypatch.setattr(console, "LINE_SECONDS", 0.0)
    lines = re.findall(
        r"accelsim: (\d+) of 144 points, [\d,]+/s, \d+ min \d\d s left", cli(space, "--out", tmp_path / "said").stderr
    )
    assert list(map(int, lines)) == list(range(16, 145, 16))


@pytest.mark.slow
def test_on_a_terminal_progress_is_a_bar_with_a_rate(tmp_path: Path) -> None:
    sent = bytearray()

    def read(number: int) -> bytes:
        data = os.read(number, 4096)
        sent.extend(data)
        return b"-" * bool(data)

    space = SMALL | {"axes": SMALL["axes"] | {"batch": [1, 2, 3, 4, 5, 6]}}
    pty.spawn(
        [sys.executable, "-m", "accelsim", "sweep", str(written(tmp_path, space)), "--out", str(tmp_path / "out")], read
    )
    text = sent.decode("utf-8", "replace")
    assert re.search(r"\d+ of 864 points", text)
    assert re.search(r"\d/s", text)
    assert "864 points, 96 left out" in text
