"""The notebooks run from top to bottom, and their two forms hold the same cells."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest.mock import patch

import pytest

ROOT = Path(__file__).resolve().parent.parent / "notebooks"


@pytest.mark.parametrize("name", ["first_run", "fake_quant", "what_if", "design_space", "how_few_bits"])
def test_both_forms_hold_the_same_cells(name: str) -> None:
    jupytext = pytest.importorskip("jupytext")
    script, notebook = (jupytext.read(ROOT / f"{name}.{suffix}") for suffix in ("py", "ipynb"))
    assert [c.source for c in script.cells] == [c.source for c in notebook.cells]


def executed(name: str, folder: Path) -> str:
    """Everything that the notebook printed and showed."""
    jupytext = pytest.importorskip("jupytext")
    nbclient = pytest.importorskip("nbclient")
    notebook = jupytext.read(ROOT / f"{name}.py")
    with patch.dict(os.environ):
        os.environ.pop("MPLBACKEND", None)  # figures are shown where the notebook is
        nbclient.NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    return "".join(str(output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)


@pytest.mark.slow
def test_how_few_bits(tmp_path: Path) -> None:
    text = executed("how_few_bits", tmp_path)
    accuracy = {name: float(share) for name, share in re.findall(r"(?:\\n|')([28] bits)[^%\n]*?([0-9.]+)%", text)}
    assert accuracy["2 bits"] < accuracy["8 bits"]
    assert "2 bits for " in text
    assert "image/png" in text


@pytest.mark.slow
def test_first_run(tmp_path: Path) -> None:
    text = executed("first_run", tmp_path)
    assert "of 450 right: 98." in text
    assert "image/png" in text


@pytest.mark.slow
def test_fake_quant(tmp_path: Path) -> None:
    """Accuracy by width from both readings; truncation moves half of the codes."""
    pytest.importorskip("sklearn")
    text = executed("fake_quant", tmp_path)
    rows = re.findall(r"(\d) bits: fake-quant ([\d.]+)%, machine ([\d.]+)%", text)
    assert [int(bits) for bits, _, _ in rows] == list(range(2, 9))
    accuracies = {int(bits): (float(oracle), float(machine)) for bits, oracle, machine in rows}
    assert min(accuracies[8]) > 93 > max(accuracies[2])
    assert all(abs(oracle - machine) <= 1 for bits, (oracle, machine) in accuracies.items() if bits >= 4)
    seen = [float(share) for share in re.findall(r"truncation, expected 50%, seen ([\d.]+)%", text)]
    assert len(seen) == 2
    assert all(abs(share - 50) < 5 for share in seen)
    assert "image/png" in text


@pytest.mark.slow
def test_what_if(tmp_path: Path) -> None:
    """More of each knob costs and gives what the text says it does."""
    text = executed("what_if", tmp_path)
    rows = re.findall(r"(DRAM|tensors|bits)[\w ,/]*: ([\d.]+): ([\d.]+) ms, ([\d.]+) mJ, ([\d.]+) mm2", text)
    points: dict[str, list[tuple[float, ...]]] = {}
    for axis, *figures in rows:
        points.setdefault(axis, []).append(tuple(map(float, figures)))
    assert {axis: len(found) for axis, found in points.items()} == {"DRAM": 6, "tensors": 6, "bits": 7}
    times, energies, areas = ({axis: [p[i] for p in found] for axis, found in points.items()} for i in (1, 2, 3))
    assert times["DRAM"] == sorted(times["DRAM"], reverse=True)
    assert energies["tensors"] == sorted(energies["tensors"], reverse=True)
    assert areas["tensors"] == sorted(areas["tensors"])
    assert energies["bits"] == sorted(energies["bits"], reverse=True)
    assert "image/png" in text
    assert "clock_hz" in text


@pytest.mark.slow
def test_design_space(tmp_path: Path) -> None:
    """Each axis does what the text says; the rows of the front that are shown are no worse than each other, and there are few of them."""
    text = executed("design_space", tmp_path)
    shares = {
        axis: dict(zip(("time", "energy", "area"), map(int, figures), strict=True))
        for axis, *figures in re.findall(
            r"((?:array|activation|dram|weights)[a-z_.]+) +latency_s (\d+)%, energy_pj (\d+)%, area_um2 (\d+)%", text
        )
    }
    strongest = {figure: max(shares, key=lambda axis: shares[axis][figure]) for figure in ("time", "energy", "area")}
    assert strongest == {
        "time": "array.rows",
        "energy": "array.rows",
        "area": "activation_buffer.size_bytes",
    }
    assert sorted(shares, key=lambda axis: -shares[axis]["time"])[1] == "dram.bandwidth_bytes_per_s"
    assert sorted(shares, key=lambda axis: -shares[axis]["energy"])[1] == "weights.bits"
    rows = [tuple(map(float, x)) for x in re.findall(r"bits: ([\d.]+) ms, ([\d.]+) mJ, ([\d.]+) mm2", text)]
    assert 6 <= len(rows) <= 16
    for row in rows:
        assert not any(all(b < a for a, b in zip(row, other, strict=True)) for other in rows)
    assert "image/png" in text
    assert len(text) < 200_000
