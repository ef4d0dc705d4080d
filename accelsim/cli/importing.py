"""``accelsim import``: what is understood of a model file, before anything is simulated."""

from __future__ import annotations

from accelsim.cli.shared.console import show
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import arithmetic_option, model_argument


@main.command("import")
@model_argument
@arithmetic_option
def import_command(model: str, arithmetic: str | None) -> None:
    """Read MODEL and print operator by operator what becomes of it, and every approximation made."""
    from accelsim.importers import load_graph, resolve_model
    from accelsim.report import import_table, import_width

    path = resolve_model(model)
    graph = load_graph(path, arithmetic=arithmetic)
    heading = f"{path.name}, {len(graph.source or graph.layers)} operators"
    show(import_table(graph, heading=heading), natural=import_width(graph))
