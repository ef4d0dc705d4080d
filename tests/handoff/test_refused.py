"""What an export refuses, in one sentence, and that nothing half-written stays behind."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from accelsim.cli import main
from accelsim.handoff.vectors.streams import StreamFiles


def run(*arguments: str) -> str:
    """What ``accelsim export vectors digits_cnn`` says where it fails."""
    done = CliRunner().invoke(main, ["export", "vectors", "digits_cnn", "--arch", "edge_16x16", *arguments])
    assert done.exit_code == 1, done.output
    return [line for line in done.output.splitlines() if "error" in line][-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--layer", "conv3"], "layer 'conv3': 'digits_cnn_int8' has no such layer; did you mean 'conv2'?"),
        (
            ["--layer", "zzz"],
            "'digits_cnn_int8' has no such layer; the array runs 'conv1', 'depthwise', 'pointwise', 'conv2', 'logits'",
        ),
        (
            ["--layer", "probabilities"],
            "layer 'probabilities': the array does not run it: SOFTMAX is the vector unit's",
        ),
        (["--inference", "2000"], "--inference 2000: there are"),
    ],
)
def test_layers_and_inputs(arguments: list[str], said: str, tmp_path: Path) -> None:
    assert said in run("--out", str(tmp_path / "v"), *arguments)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_not_ours(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    assert "other: is not empty, and no vectors of an export; name another directory" in run("--out", str(other))
    (other / "manifest.json").write_text('{"format": "something else"}')
    assert "manifest.json: is no manifest of accelsim vectors" in run("--out", str(other))
    assert "thesis.tex: is a file" in run("--out", str(other / "thesis.tex"))
    assert "does not exist; make it first" in run("--out", str(tmp_path / "no/where"))
    assert sorted(path.name for path in other.iterdir()) == ["manifest.json", "thesis.tex"]


def export(folder: Path, *more: str) -> None:
    arguments = [
        "export",
        "vectors",
        "digits_cnn",
        "--arch",
        "edge_16x16",
        "--layer",
        "conv1",
        "--out",
        str(folder),
        *more,
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output


def test_an_export_replaces_its_own_but_no_file_of_yours(tmp_path: Path) -> None:
    export(tmp_path / "v")
    (tmp_path / "v/results/000_conv1").mkdir(parents=True)
    (tmp_path / "v/results/000_conv1/output.hex").write_text("00\n")
    export(tmp_path / "v", "--format", "hex")
    assert not (tmp_path / "v/000_conv1/weights.npy").exists()
    (tmp_path / "v/000_conv1/notes.txt").write_text("mine")
    assert "000_conv1/notes.txt in it is not of an export; move it away" in run("--out", str(tmp_path / "v"))
    assert (tmp_path / "v/000_conv1/notes.txt").read_text() == "mine"


def test_a_full_disk_leaves_nothing_and_an_earlier_export_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(tmp_path / "v")
    before = sorted(tmp_path.rglob("*"))
    put, written = StreamFiles._put, [0]

    def full(self: StreamFiles, fmt: Any, data: bytes) -> None:
        written[0] += len(data)
        if written[0] > 20_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        put(self, fmt, data)

    monkeypatch.setattr(StreamFiles, "_put", full)
    for folder in ("v", "w"):
        written[0] = 0
        said = run("--out", str(tmp_path / folder))
        assert f"{folder}: cannot write: No space left on device; free some room" in said
        assert said.endswith("nothing was left there")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_is_too_small_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    assert "the disk has 1,000 free" in run("--out", str(tmp_path / "v"))
    assert list(tmp_path.iterdir()) == []


def test_shapes_alone_have_no_vectors(tmp_path: Path) -> None:
    arguments = [
        "export",
        "vectors",
        "mobilenet_v2",
        "--arch",
        "edge_16x16",
        "--out",
        str(tmp_path / "v"),
        "--input",
        "digits_cnn",
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "carries shapes only" in done.output
