"""``accelsim run`` and ``verify`` on a streaming model: state carried, dumped, taken up, reset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as CliResult

from accelsim.cli import main
from tests.importers.tflite.streams import STREAMS

COUNT = 9


def cli(*arguments: str | Path, code: int = 0) -> CliResult:
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "window.tflite"
    path.write_bytes(STREAMS["window"]())
    x = np.random.default_rng(0).integers(-128, 128, (COUNT, 1, 4)).astype(np.int8)
    for name, part in {"all": x, "head": x[:4], "tail": x[4:]}.items():
        np.savez(tmp_path / f"{name}.npz", input=part)
    return path


def tensors(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def test_two_runs_are_one_when_the_state_is_handed_over(model: Path, tmp_path: Path) -> None:
    run, state = ("run", model, "--arch", "edge_16x16", "--input"), tmp_path / "state.npz"
    said = cli(*run, tmp_path / "all.npz", "--tensors", tmp_path / "whole.npz").stderr
    assert "the inputs ran in order: 1 variable, 8 bytes, kept in DRAM from each to the next" in said
    cli(*run, tmp_path / "head.npz", "--dump-state", state)
    assert tensors(state)["s"].shape == (1, 2, 4)
    cli(*run, tmp_path / "tail.npz", "--state", state, "--tensors", tmp_path / "second.npz")
    whole, second = tensors(tmp_path / "whole.npz"), tensors(tmp_path / "second.npz")
    assert all(np.array_equal(whole[name][4:], second[name]) for name in whole)
    cli(*run, tmp_path / "all.npz", "--reset-every", "4", "--tensors", tmp_path / "reset.npz")
    reset = tensors(tmp_path / "reset.npz")
    assert np.array_equal(reset["all"][:4], whole["all"][:4])
    assert not np.array_equal(reset["all"][4], whole["all"][4])


def test_import_shows_the_state(model: Path) -> None:
    shown = cli("import", model).stdout
    assert "state        s: int8 codes 1×2×4, scale 0.5, zero point 3" in shown
    assert "kept from inference to inference" in " ".join(shown.split())


def test_verify_carries_the_state_on_both_sides(model: Path, tmp_path: Path) -> None:
    for oracle in ("fake-quant", "tflite-micro"):
        if oracle == "tflite-micro":
            pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
        shown = cli("verify", model, "--arch", "edge_16x16", "--oracle", oracle, "--input", tmp_path / "all.npz").stdout
        assert "match (tolerance exact)" in shown


def test_options_about_state_are_refused_where_there_is_none(model: Path, tmp_path: Path) -> None:
    for option in (("--state", tmp_path / "all.npz"), ("--dump-state", tmp_path / "s.npz"), ("--reset-every", "2")):
        said = cli("run", model, "--arch", "edge_16x16", *option, code=1).stderr
        assert f"{option[0]} {option[1]}: nothing is kept where nothing is computed; give --input FILE" in said
    plain = ("run", "digits_cnn", "--arch", "edge_16x16")
    for option in (("--dump-state", tmp_path / "s.npz"), ("--reset-every", "2")):
        assert "keeps nothing" in cli(*plain, *option, code=1).stderr
    assert not (tmp_path / "s.npz").exists()
    assert "x>=1" in cli("run", model, "--reset-every", "0", code=2).stderr
