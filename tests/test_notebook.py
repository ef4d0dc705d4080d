"""The notebooks run from top to bottom, and their two forms hold the same cells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "notebooks"


@pytest.mark.parametrize("name", ["first_run", "fake_quant"])
def test_both_forms_hold_the_same_cells(name: str) -> None:
    jupytext = pytest.importorskip("jupytext")
    script, notebook = (jupytext.read(ROOT / f"{name}.{suffix}") for suffix in ("py", "ipynb"))
    assert [c.source for c in script.cells] == [c.source for c in notebook.cells]


def executed(name: str, folder: Path) -> str:
    """Everything that the notebook printed and showed."""
    jupytext = pytest.importorskip("jupytext")
    nbclient = pytest.importorskip("nbclient")
    notebook = jupytext.read(ROOT / f"{name}.py")
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return "".join(str(output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)


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
