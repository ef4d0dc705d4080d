"""Execute each notebook script of this folder and write it, with its outputs, as ``.ipynb``.

python notebooks/make.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import jupytext
import nbclient

HERE = Path(__file__).resolve().parent


NAMES = ("first_run", "fake_quant", "what_if", "design_space", "how_few_bits")


def main() -> None:
    for name in NAMES:
        make(name)


def make(name: str) -> None:
    notebook = jupytext.read(HERE / f"{name}.py")
    os.environ.pop("MPLBACKEND", None)  # figures are shown where the notebook is
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    jupytext.write(notebook, HERE / f"{name}.ipynb")


if __name__ == "__main__":
    main()
