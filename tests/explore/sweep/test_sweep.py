"""A sweep's table is that of ``evaluate``; what its folder holds is not computed again, what is damaged is, what has changed is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.errors import ConfigError, ModelFileError, SweepError
from accelsim.explore import read_space
from accelsim.explore.evaluate import ROW
from accelsim.explore.sweep.store import DamagedError, header
from accelsim.explore.sweep.store import folder as store_folder
from accelsim.explore.sweep.store.chunks import read_chunk, write_chunk
from tests.explore.sweep.spaces import SMALL, same_tables, written


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of the small space; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    done = accelsim.sweep(SMALL, out=folder)
    assert (done.points, done.found, done.rows) == (144, 0, 128)
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def chunks(folder: Path) -> list[Path]:
    return sorted(folder.glob("run-*/chunk-*"))


def test_every_row_is_that_of_evaluate(whole: Path) -> None:
    table = accelsim.read_sweep(whole)
    axes = list(SMALL["axes"])
    assert list(table) == ["point", "key", "workload", *axes, *(ROW.names or ()), "feasible"]
    assert table["point"].is_monotonic_increasing
    assert table["key"].is_unique
    for workload in SMALL["workloads"]:
        rows = table[table["workload"] == workload]
        edits = rows[axes].to_dict("records")
        expected = accelsim.evaluate(workload, arch=SMALL["arch"], edits=edits)
        for name in ROW.names or ():
            np.testing.assert_array_equal(rows[name].to_numpy(), expected[name])
    assert (table["error"] != "").sum() == (table["cycles"] == -1).sum() == 64


def test_feasible_points_keep_every_constraint_and_have_no_error(whole: Path) -> None:
    table = accelsim.read_sweep(whole)
    assert (table["array.rows"] * table["array.cols"] <= 128).all()
    kept = (table["area_um2"] < 1.22e6) & (table["bound"] != "weight load") & (table["error"] == "")
    assert table["feasible"].tolist() == kept.tolist()
    assert 0 < table["feasible"].sum() < (table["error"] == "").sum()


def test_what_the_frame_says_of_its_sweep(whole: Path) -> None:
    about = accelsim.read_sweep(whole).attrs["sweep"]
    assert (about["axes"], about["points"], about["objective"]) == (list(SMALL["axes"]), 144, "edp")
    assert about["machine"]["name"] == "edge_16x16"


def test_a_key_is_of_what_the_row_follows_from_alone(whole: Path, tmp_path: Path) -> None:
    axes = dict(reversed(SMALL["axes"].items())) | {"array.rows": [8]}
    accelsim.sweep({"workloads": "digits_cnn", "axes": axes}, out=tmp_path / "a")
    accelsim.sweep({"workloads": "digits_cnn", "axes": axes, "objective": "cycles"}, out=tmp_path / "b")
    old, new, other = (set(accelsim.read_sweep(folder)["key"]) for folder in (whole, tmp_path / "a", tmp_path / "b"))
    assert len(new) == len(other) == 24
    assert len(new & old) == 24
    assert not other & (new | old)


def test_what_is_there_is_not_computed_again(copied: Path) -> None:
    removed = chunks(copied)[2::3]
    for path in removed:
        path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in chunks(copied)}
    before = accelsim.read_sweep(copied)
    calls: list[tuple[str, int, int]] = []
    done = accelsim.sweep(SMALL, out=copied, progress=lambda *call: calls.append(call))
    assert done.found == 144 - 16 * len(removed)
    assert calls == [("points", n, 144) for n in range(done.found, 145, 16)]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(before) < len(accelsim.read_sweep(copied)) == done.rows == 128
    again = accelsim.sweep(SMALL, out=copied)
    assert (again.found, again.rows, again.feasible, again.failed) == (144, done.rows, done.feasible, done.failed)
    assert sum(done.errors.values()) == done.failed == 64


@pytest.mark.parametrize("form", [".parquet", ".jsonl"])
@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "longer", "one line less"])
def test_what_is_damaged_is_computed_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, damage: str
) -> None:
    monkeypatch.setattr(store_folder, "suffix", lambda: form)
    out = tmp_path / "out"
    accelsim.sweep(SMALL, out=out)
    path = chunks(out)[1]
    content = path.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:-9],
        "empty": b"",
        "changed": content[:200] + bytes(byte ^ 1 for byte in content[200:500]) + content[500:],
        "longer": content + b"{}\n",
        "one line less": content[content.index(b"\n") + 1 :] if form == ".jsonl" else content[middle:],
    }
    path.write_bytes(damaged[damage])
    with pytest.warns(RuntimeWarning, match="1 damaged file.*left out"):
        assert len(accelsim.read_sweep(out)) < 128
    with pytest.warns(RuntimeWarning, match="1 damaged file.*computed again") as warned:
        accelsim.sweep(SMALL, out=out)
    assert len(warned) == 1
    assert path.read_bytes() == content
    same_tables(whole, out)


@pytest.mark.parametrize("form", [".parquet", ".jsonl"])
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_is_found_or_changes_nothing(whole: Path, form: str, data: st.DataObject) -> None:
    kinds = read_space(SMALL).kinds
    rows = read_chunk(chunks(whole)[0], kinds)
    stream = io.BytesIO()
    write_chunk(stream, rows, kinds, form=form)
    content = stream.getvalue()
    first = data.draw(st.integers(0, len(content) - 1))
    last = data.draw(st.integers(first, min(first + 40, len(content))))
    path = whole.parent / f"damaged{form}"
    path.write_bytes(content[:first] + data.draw(st.binary(max_size=40)) + content[last:])
    try:
        found = read_chunk(path, kinds)
    except DamagedError:
        return
    for name, column in rows.items():
        np.testing.assert_array_equal(found[name], column)


def test_without_pyarrow_chunks_are_lines_of_json(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    accelsim.sweep(SMALL, out=tmp_path)
    assert {path.suffix for path in chunks(tmp_path)} == {".jsonl"}
    with pytest.raises(SweepError, match="needs pyarrow"):
        accelsim.read_sweep(whole)
    monkeypatch.undo()
    same_tables(whole, tmp_path)


def test_columns_hold_what_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {
        "activation_buffer.resident_bytes": [0, "auto"],
        "tech.voltage_v": [None, 0.8],
        "dram.standard": [None, "DDR4_3200"],
    }
    space = {"workloads": "digits_cnn", "axes": axes}
    accelsim.sweep(space, out=tmp_path / "parquet")
    monkeypatch.setattr(store_folder, "suffix", lambda: ".jsonl")
    accelsim.sweep(space, out=tmp_path / "jsonl")
    table = same_tables(tmp_path / "parquet", tmp_path / "jsonl")
    assert table["activation_buffer.resident_bytes"].tolist() == ["0"] * 4 + ["auto"] * 4
    assert table["tech.voltage_v"].isna().tolist() == [True, True, False, False] * 2
    assert table["dram.standard"].dropna().tolist() == ["DDR4_3200"] * 4


def test_a_space_that_leaves_nothing_in_gives_an_empty_table(tmp_path: Path) -> None:
    done = accelsim.sweep(SMALL | {"constraints": ["array.rows > 99"]}, out=tmp_path)
    assert (done.points, done.rows) == (144, 0)
    assert accelsim.read_sweep(tmp_path).empty


# What has changed


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "axes": ({"axes": SMALL["axes"] | {"array.rows": [4, 8]}}, r"the space \(axes\)"),
    "order": ({"axes": dict(reversed(SMALL["axes"].items()))}, r"the space \(order of axes\)"),
    "objective": ({"objective": "cycles"}, r"the space \(objective\)"),
    "workloads": ({"workloads": ["digits_cnn"]}, r"the space \(workloads\)"),
    "constraints": ({"constraints": []}, r"the space \(constraints\)"),
    "machine": ({"arch": "mcu_npu"}, "the machine mcu_npu"),
    "sample": ({"sample": {"random": 10}}, r"the space \(sample\)"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_space_is_refused_or_begun_beside(copied: Path, change: str) -> None:
    changed, says = CHANGES[change]
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(SweepError, match=says):
        accelsim.sweep(SMALL | changed, out=copied)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    space = SMALL | {"sample": {"random": 20}} | changed
    first = accelsim.sweep(space, out=copied, rerun=True)
    again = accelsim.sweep(space, out=copied, rerun=True)
    assert (first.folder.name, first.found) == ("run-2", 0)
    assert (again.folder.name, again.found) == ("run-2", again.points)
    assert {path: path.read_bytes() for path in before} == before
    assert len(accelsim.read_sweep(copied)) == first.rows
    assert len(accelsim.read_sweep(copied / "run-1")) == 128


def test_a_changed_model_table_or_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, table = tmp_path / "net.csv", tmp_path / "mine.yaml"
    model.write_text("name,op,h,w,c,oc,kh,kw,stride,padding\nconv,conv2d,8,8,8,8,3,3,1,same\n", encoding="utf-8")
    shipped = (Path(accelsim.__file__).parent / "energy" / "tables" / "horowitz_45nm.yaml").read_text(encoding="utf-8")
    table.write_text(shipped, encoding="utf-8")
    space = {"workloads": str(model), "axes": {"tech.energy_table": ["qkeras_45nm", str(table)], "array.rows": [4, 8]}}
    out = tmp_path / "out"
    accelsim.sweep(space, out=out)

    def refused() -> str:
        with pytest.raises(SweepError) as error:
            accelsim.sweep(space, out=out)
        return str(error.value)

    model.write_text(model.read_text(encoding="utf-8").replace("8,8,8,8", "8,8,8,4"), encoding="utf-8")
    assert f"differs in the model {model}; --rerun" in refused()
    table.write_text(shipped.replace("name: horowitz_45nm", "name: mine"), encoding="utf-8")
    assert f"differs in the model {model}, the energy table {table}; --rerun" in refused()
    monkeypatch.setattr(header, "code_digest", lambda: "another")
    assert "differs in accelsim's code (" in refused()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}'])
def test_a_header_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "sweep.json").write_text(text, encoding="utf-8")
    for call in (lambda: accelsim.sweep(SMALL, out=tmp_path), lambda: accelsim.read_sweep(tmp_path)):
        with pytest.raises(SweepError, match="is no header of a sweep"):
            call()


def test_files_of_another_version_are_refused(copied: Path) -> None:
    path = copied / "run-1" / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"schema": 99}), encoding="utf-8")
    with pytest.raises(SweepError, match="files of version 99, expected 1"):
        accelsim.read_sweep(copied)


@pytest.mark.parametrize("name", ["nothing", "."])
def test_there_is_no_sweep(tmp_path: Path, name: str) -> None:
    with pytest.raises(SweepError, match=r"cannot be read|holds no sweep"):
        accelsim.read_sweep(tmp_path / name)


def test_read_sweep_says_that_it_needs_pandas(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SweepError, match="pip install 'accelsim"):
        accelsim.read_sweep(whole)


# Owners


def test_shards_make_up_the_whole(whole: Path, tmp_path: Path) -> None:
    parts = [accelsim.sweep(SMALL, out=tmp_path, shard=(i, 3)) for i in (3, 1, 2)]
    assert sum(part.points for part in parts) == 144
    assert all(part.found == 0 for part in parts)
    same_tables(whole, tmp_path)
    assert accelsim.sweep(SMALL, out=tmp_path).found == 144


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (-1, 1)])
def test_shards_that_are_none(tmp_path: Path, shard: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="expected i/n with 1 <= i <= n"):
        accelsim.sweep(SMALL, out=tmp_path, shard=shard)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [(None, None, True), ((1, 2), (1, 2), True), (None, (1, 2), True), ((1, 2), None, True), ((1, 2), (2, 2), False)],
)
def test_two_writers(tmp_path: Path, first: Any, second: Any, refused: bool) -> None:
    """The second begins while the first is at work."""
    outcomes: list[object] = []

    def meanwhile(_: str, done: int, __: int) -> None:
        if not outcomes and done:
            try:
                outcomes.append(accelsim.sweep(SMALL, out=tmp_path, shard=second))
            except SweepError as error:
                outcomes.append(str(error))

    accelsim.sweep(SMALL, out=tmp_path, shard=first, progress=meanwhile)
    assert ("another process writes" in str(outcomes[0])) == refused
    assert accelsim.sweep(SMALL, out=tmp_path, shard=second).points > 0


# What the system refuses


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SweepError, match="cannot be written"):
        accelsim.sweep(SMALL, out=tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(copied: Path) -> None:
    chunks(copied)[0].unlink()
    (copied / "run-1").chmod(0o500)
    with pytest.raises(SweepError, match=r"cannot be written: Permission denied; finished chunks are kept"):
        accelsim.sweep(SMALL, out=copied)


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
from accelsim.cli import main
main(sys.argv[1:])
"""


def test_a_disk_that_takes_no_more(whole: Path, copied: Path, tmp_path: Path) -> None:
    """Files may grow to 6,000 bytes, which the header has not and a chunk has."""
    first, *others = chunks(copied)
    first.unlink()
    before = [path.read_bytes() for path in others]
    command = [sys.executable, "-c", FULL, "sweep", str(written(tmp_path, SMALL)), "--out", str(copied)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=os.environ | {"NUMBA_DISABLE_JIT": "0"}
    )
    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert len(errors) == 1
    assert (
        f"{first}: cannot be written: File too large; finished chunks are kept, and the same command goes on"
        in errors[0]
    )
    assert "Traceback" not in done.stderr
    assert chunks(copied) == others
    assert [path.read_bytes() for path in others] == before
    accelsim.sweep(SMALL, out=copied)
    same_tables(whole, copied)


@pytest.mark.parametrize(
    ("changed", "error"), [({"workloads": "no_such"}, ModelFileError), ({"axes": {"array.rowz": [1]}}, ConfigError)]
)
def test_what_cannot_be_read_leaves_no_folder(tmp_path: Path, changed: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        accelsim.sweep(SMALL | changed, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_leftovers_of_killed_writers_are_removed(copied: Path) -> None:
    left = copied / "run-1" / ".chunk-00000003.parquet.0123456789ab.tmp"
    left.write_bytes(b"half")
    accelsim.sweep(SMALL, out=copied)
    assert not left.exists()


def test_a_space_is_read_once_more_as_it_is(tmp_path: Path) -> None:
    space = read_space(written(tmp_path, SMALL))
    assert read_space(space) is space
    assert read_space(SMALL).kinds == space.kinds
    assert pd.Series(space.kinds).index[0] == "point"
