"""The notebook runs from top to bottom, and its two forms hold the same cells."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "notebooks"


def test_both_forms_hold_the_same_cells() -> None:
    jupytext = pytest.importorskip("jupytext")
    script, notebook = (jupytext.read(ROOT / f"first_run.{suffix}") for suffix in ("py", "ipynb"))
    assert [c.source for c in script.cells] == [c.source for c in notebook.cells]


@pytest.mark.slow
def test_notebook_runs(tmp_path: Path) -> None:
    jupytext = pytest.importorskip("jupytext")
    nbclient = pytest.importorskip("nbclient")
    notebook = jupytext.read(ROOT / "first_run.py")
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    text = "".join(str(output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    assert "of 450 right: 98." in text
    assert "image/png" in text
