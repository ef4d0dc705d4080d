"""``accelsim compare``: one network on several machines, variants of a base, and how much each number of a machine matters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import WIDE, note_all, page_width, progress_bar, show
from accelsim.cli.shared.files import OutputFile
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import (
    arch_of,
    arch_option,
    arithmetic_option,
    mapping_options,
    model_argument,
    parse_edits,
    set_option,
)
from accelsim.cli.shared.outputs import Outputs
from accelsim.cli.shared.variants import Asked, parse_variants, variant_option
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.arch import Arch
    from accelsim.report import Variants
    from accelsim.result import Result, Sensitivity

BASE = "base"
"""What the first machine is called beside variants."""


@main.command("compare")
@model_argument
@arch_option("machines", multiple=True, help=" Give it for each machine; the first is the base of the ratios.")
@set_option
@arithmetic_option
@mapping_options
@variant_option
@click.option(
    "--threshold",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Of the base's latency or energy: a layer that moves less is not shown; default: 0.5.",
)
@click.option(
    "--sensitivity", is_flag=True, help="Instead: elasticity of latency, energy and area to each number of the machine."
)
@click.option(
    "--step", type=float, metavar="FACTOR", help="With --sensitivity: from a number to its next; default: 1.1."
)
@click.option("--json", type=OutputFile(stdout=True), help="Write all of it as JSON ('-': to stdout, not the table).")
@click.option(
    "--csv",
    type=OutputFile(stdout=True),
    help="Write each total and layer, or number, as a line of CSV ('-': to stdout, not the table).",
)
@click.option("--html", type=OutputFile(), help="Write tables and picture as a page.")
@click.option(
    "--plot", type=OutputFile(picture=True), help="Draw ratios and layers, or a tornado, as .png, .svg or .pdf."
)
def compare_command(model: str, sensitivity: bool, **options: Any) -> None:
    """Totals of MODEL on several machines, and of variants of the first, side by side; --set edits all of them."""
    outputs = Outputs(*(options.pop(name) for name in Outputs._fields))
    (_study if sensitivity else _compare)(model, outputs, **options)


def _compare(
    model: str,
    outputs: Outputs,
    *,
    machines: tuple[str, ...],
    edits: tuple[str, ...],
    variants: tuple[str, ...],
    threshold: float | None,
    step: float | None,
    **options: Any,
) -> None:
    from accelsim.report import THRESHOLD, Variants, checked_threshold, compare, comparison_table, variants_table

    if step is not None:
        raise ConfigError(f"--step {step:g}: nothing is stepped; give --sensitivity too")
    least = checked_threshold(THRESHOLD if threshold is None else threshold / 100)
    loaded, asked = [arch_of(machine, edits) for machine in machines], parse_variants(variants)
    names = _names(loaded, asked)
    results = _simulated(model, loaded, _edits(asked, edits, options["arithmetic"]), **options)
    for name, result in zip([*(arch.name for arch in loaded), *asked], results, strict=True):
        note_all(result.notes, about=name)
    found = Variants(names, tuple(results), least, {name: text for name, (_, text) in asked.items()})
    note_all(found.notes)
    _write_variants(found, outputs, model, _computing_in(loaded[0], options["arithmetic"]))
    if not outputs.to_stdout:
        table = variants_table(found, width=page_width()) if asked else comparison_table(compare(results))
        show(table, natural=WIDE)


def _names(loaded: Sequence[Arch], asked: Mapping[str, Asked]) -> tuple[str, ...]:
    """What each machine, then each variant is called; machines alone by their names, numbered where they are alike."""
    machines = [arch.name for arch in loaded]
    if not asked:
        twice = [name for name in machines if machines.count(name) > 1]
        return tuple(f"{name} ({k})" if name in twice else name for k, name in enumerate(machines, start=1))
    names = [BASE, *machines[1:], *asked]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{name!r} names several of the machines and variants; give the variant another name")
    return tuple(names)


def _edits(asked: Mapping[str, Asked], edits: Sequence[str], arithmetic: str | None) -> dict[str, dict[str, str]]:
    """The edits of each variant; those on another machine have what edits all machines too."""
    common = parse_edits(edits) | ({} if arithmetic is None else {"arithmetic": arithmetic})
    return {name: (common if "arch" in own else {}) | own for name, (own, _) in asked.items()}


def _computing_in(arch: Arch, arithmetic: str | None) -> Arch:
    """``arch``, in another arithmetic where one is given."""
    return arch if arithmetic is None else arch.with_({"arithmetic": arithmetic})


def _simulated(
    model: str, loaded: Sequence[Arch], edits: Mapping[str, dict[str, str]], *, arithmetic: str | None, **options: Any
) -> list[Result]:
    """The Result of each machine, then of each variant of the first."""
    from accelsim.explore import variants_of
    from accelsim.simulation import simulate

    base = _computing_in(loaded[0], arithmetic)
    variants = variants_of(model, arch=base, variants=edits, **options)
    runs: list[Callable[[], Result]] = [
        *(partial(simulate, model, arch=arch, arithmetic=arithmetic, **options) for arch in loaded),
        *(variant.simulate for variant in variants),
    ]
    results = []
    with progress_bar("machines") as progress:
        for done, run in enumerate(runs, start=1):
            results.append(run())
            if progress is not None:
                progress("machines", done, len(runs))
    return results


def _study(
    model: str,
    outputs: Outputs,
    *,
    machines: tuple[str, ...],
    edits: tuple[str, ...],
    arithmetic: str | None,
    objective: Any,
    step: float | None,
    **options: Any,
) -> None:
    """The sensitivity of one machine."""
    from accelsim.explore import STEP, sensitivity
    from accelsim.objective import DEFAULT_OBJECTIVE
    from accelsim.report import sensitivity_table

    _refuse_beside_sensitivity(machines, **options)
    arch = arch_of(machines[0], edits, arithmetic)
    with progress_bar("machines") as progress:
        found = sensitivity(
            model,
            arch=arch,
            objective=objective or DEFAULT_OBJECTIVE,
            step=STEP if step is None else step,
            progress=progress,
        )
    _write_sensitivity(found, outputs)
    if not outputs.to_stdout:
        show(sensitivity_table(found, width=page_width()), natural=WIDE)


def _refuse_beside_sensitivity(
    machines: Sequence[str], *, variants: Sequence[str], mapping: str, threshold: float | None
) -> None:
    if len(machines) > 1:
        raise ConfigError(f"--sensitivity: of one machine, got {len(machines)}; give --arch once")
    if variants:
        raise ConfigError(
            f"--sensitivity: of one machine, without variants; put the edits of {variants[0]!r} into --set"
        )
    if mapping != "default":
        raise ConfigError(f"--mapping {mapping}: --sensitivity maps each machine by the default mapper; leave it out")
    if threshold is not None:
        raise ConfigError(f"--threshold {threshold:g}: of layers, which --sensitivity does not show; leave it out")


def _write_variants(found: Variants, outputs: Outputs, model: str, arch: Arch) -> None:
    """Every file of variants; the page draws the network of ``model`` as ``arch``, the base, computes it."""
    from accelsim.report.documents import variants_document
    from accelsim.report.pictures import variants_plot

    def document() -> str:
        from accelsim.importers import load_for

        return variants_document(found, load_for(model, arch)[0])

    outputs.write(text=found.to_json, rows=found.layer_rows, document=document, draw=lambda: variants_plot(found))


def _write_sensitivity(found: Sensitivity, outputs: Outputs) -> None:
    from accelsim.report.documents import sensitivity_document
    from accelsim.report.pictures import tornado

    outputs.write(
        text=found.to_json, rows=found.rows, document=lambda: sensitivity_document(found), draw=lambda: tornado(found)
    )
