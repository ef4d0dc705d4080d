"""Execute ``first_run.py`` and write it, with its outputs, as ``first_run.ipynb``.

python notebooks/make.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import jupytext
import nbclient

HERE = Path(__file__).resolve().parent


def main() -> None:
    notebook = jupytext.read(HERE / "first_run.py")
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    jupytext.write(notebook, HERE / "first_run.ipynb")


if __name__ == "__main__":
    main()
