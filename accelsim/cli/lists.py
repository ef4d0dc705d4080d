"""``accelsim ops`` and ``accelsim models``: what can be read, and what ships."""

from __future__ import annotations

from pathlib import Path

import click

from accelsim.cli.console import show

UNBROKEN = 200
"""Characters that a list may take where the page has no width of its own."""


@click.command("ops")
def ops() -> None:
    """List the operators that a model may hold, and what each becomes."""
    from accelsim.importers import supported_operators
    from accelsim.report.table import list_table

    rows = [(op.operator, op.source, op.formats, op.layer, op.notes) for op in supported_operators()]
    show(list_table(("operator", "file", "numbers", "layer", "notes"), rows), natural=UNBROKEN)


@click.command("models")
def models() -> None:
    """List the workloads that ship with accelsim."""
    from accelsim.importers import packaged_models
    from accelsim.report.table import list_table

    rows = [(name, path.name, _what(path)) for name, path in sorted(packaged_models().items())]
    show(list_table(("model", "file", "what it holds"), rows), natural=UNBROKEN)


def _what(path: Path) -> str:
    if path.suffix == ".csv":
        return "shapes only: cycles, traffic and energy, no values"
    inputs = _test_inputs_beside(path)
    if path.stem.endswith("_float"):
        return f"real numbers, for accelsim quantize; test inputs in {path.stem}_test.npz"
    return "weights and biases" + (f"; test inputs in {inputs.name}" if inputs else "")


def shipped_inputs(model: str) -> Path | None:
    """The test inputs that ship with the packaged workload called ``model``; None for a file, or where none ship."""
    from accelsim.importers import packaged_models

    if Path(model).exists():
        return None
    found = packaged_models().get(model)
    return None if found is None else _test_inputs_beside(found)


def inputs_file(given: str) -> str:
    """The file of inputs that is meant: a path, or the name of a packaged workload for the test inputs that ship with it."""
    return str(shipped_inputs(given) or given)


def _test_inputs_beside(path: Path) -> Path | None:
    """The test inputs in the folder of a model: its own, or int8 codes, which mean nothing to models of other widths."""
    own = path.with_name(f"{path.stem}_test.npz")
    if own.is_file():
        return own
    return next(iter(sorted(path.parent.glob("*_test.npz"))), None) if path.stem.endswith("_int8") else None
