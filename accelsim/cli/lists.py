"""``accelsim ops`` and ``accelsim models``: what can be read, and what ships."""

from __future__ import annotations

from pathlib import Path

from accelsim.cli.shared.console import WIDE, show
from accelsim.cli.shared.group import main


@main.command("ops")
def ops() -> None:
    """List the operators that a model may hold, and what each becomes."""
    from accelsim.importers import supported_operators
    from accelsim.report import list_table

    rows = [(op.operator, op.source, op.formats, op.layer, op.notes) for op in supported_operators()]
    show(list_table(("operator", "file", "numbers", "layer", "notes"), rows), natural=WIDE)


@main.command("models")
def models() -> None:
    """List the workloads that ship with accelsim."""
    from accelsim.importers import packaged_models
    from accelsim.report import list_table

    rows = [(name, path.name, _what(path)) for name, path in sorted(packaged_models().items())]
    show(list_table(("model", "file", "what it holds"), rows), natural=WIDE)


def _what(path: Path) -> str:
    from accelsim.importers import inputs_beside

    if path.suffix == ".csv":
        return "shapes only: cycles, traffic and energy, no values"
    inputs = inputs_beside(path)
    if path.stem.endswith("_float"):
        return f"real numbers, for accelsim quantize; test inputs in {path.stem}_test.npz"
    return "weights and biases" + (f"; test inputs in {inputs.name}" if inputs else "")
