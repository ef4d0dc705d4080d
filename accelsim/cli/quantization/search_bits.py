"""``accelsim search-bits``: the bits of every layer, chosen by what they cost on a machine and what its integers then answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.quantization.pipelines import check_alone, evaluator_of, given_options, steps_options
from accelsim.cli.shared.console import WIDE, note, rate_bar, say, show
from accelsim.cli.shared.files import OutputFile, write_text
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import machine_options, model_argument, objective_option, parse_edits
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.explore.bits import BitSearch, Trial
    from accelsim.objective import Objective

MOST_LISTED = 16
"""Widths that a cell of the table lists."""


@main.command("search-bits")
@model_argument
@machine_options
@click.option("--calib", metavar="FILE", help="Calibration inputs as .npz, real numbers: key 'input' or input names.")
@click.option(
    "--test", metavar="FILE", help="Inputs that accuracy is measured over; without 'labels', agreement with the float network. Default: --calib."
)  # fmt: skip
@click.option("--widths", default="2,3,4,5,6,7,8", show_default=True, metavar="BITS", help="Bits for weights.")
@click.option("--acts", default="4,8,16", show_default=True, metavar="BITS", help="Bits for activations.")
@click.option(
    "--axis", "axes", multiple=True, metavar="PATH=V1,V2", help="Values for a number of the machine, e.g. array.rows=8,16; repeatable."
)  # fmt: skip
@click.option(
    "--most-loss", default="0.5%", show_default=True, metavar="SHARE", help="Accuracy that the best row may lose against W8A8."
)  # fmt: skip
@click.option(
    "--method", type=click.Choice(["all", "milp", "greedy", "nsga"]), default="all", show_default=True, help="Who chooses widths."
)  # fmt: skip
@click.option("--budget", type=click.IntRange(2), default=48, show_default=True, help="Points that are run, at most.")
@click.option("--minutes", type=float, help="No new point after so many minutes.")
@click.option(
    "--accumulator-bits", type=int, metavar="BITS", help="Accumulators that no sum may leave, for any input; weights are held to them."
)  # fmt: skip
@steps_options
@click.option("--per-tensor", is_flag=True, help="One weight scale per layer rather than per output channel.")
@click.option("--symmetric", is_flag=True, help="Activations without a zero point.")
@click.option("--power-of-two", is_flag=True, help="Scales that are powers of two, without zero points.")
@click.option("--equalize", is_flag=True, help="Channels of consecutive layers of like range, before anything else.")
@click.option("--no-bias-correction", is_flag=True, help="Leave biases as they are.")
@click.option(
    "--range", "range_method", type=click.Choice(["minmax", "moving-average", "percentile", "mse", "entropy"]), default="mse",
    show_default=True, help="How ranges are set; mse goes for weights too.",
)  # fmt: skip
@click.option(
    "--evaluator", type=click.Choice(["onnx", "onnxruntime"]), default="onnx", show_default=True, help="Who runs the float network."
)  # fmt: skip
@objective_option()
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of NSGA-II.")
@click.option("--commands", is_flag=True, help="Print for each row of the front the commands that make and run it.")
@click.option("-o", "--out", type=OutputFile(), help="Write the front, with its commands, as .json or .csv.")
@click.pass_context
def search_bits_command(
    context: click.Context, /, model: str, *, machine: str, edits: tuple[str, ...], axes: tuple[str, ...], widths: str, acts: str,
    most_loss: str, objective: Objective | None, commands: bool, out: str | None, **options: Any,
) -> None:  # fmt: skip
    """Choose the bits of MODEL's weights and activations, layer by layer, for energy, latency and accuracy on a machine.

    MODEL is a float .onnx or .tflite network. Every row that is printed has been quantized, costed exactly and run in integers.
    """
    import accelsim

    _check_out(out)
    quantize = _quantize(options, given_options(context))
    with rate_bar() as progress:
        found = accelsim.search_bits(
            model, arch=machine, widths=_bits(widths, "--widths"), acts=_bits(acts, "--acts"), edits=parse_edits(edits), axes=_axes(axes),
            most_loss=_share(most_loss), quantize=quantize, objective=objective, progress=progress, **options,
        )  # fmt: skip
    if out is not None:
        text = found.as_csv() if out.endswith(".csv") else found.as_json()
        write_text(out, lambda stream: stream.write(text))
    _tell(found, commands=commands)


def _quantize(options: dict[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """How networks are quantized, by the names of ``search_bits``; what says it leaves ``options``."""
    same = ("symmetric", "power_of_two", "equalize", "evaluator")
    made = {name: options.pop(name) for name in same}
    ranges, per_tensor, uncorrected = (
        options.pop(name) for name in ("range_method", "per_tensor", "no_bias_correction")
    )
    piped = {name: options.pop(name) for name in ("pipeline", "with_steps", "without_steps", "adaround_iterations")}
    made["per_channel"] = not per_tensor
    if piped["pipeline"] is None:
        check_alone(given)
        return made | {"bias_correction": not uncorrected, "range": ranges}
    if uncorrected:
        raise ConfigError("--no-bias-correction: steps of a pipeline are left out by --without bias-correction")
    own = {"range": ranges} if "range_method" in given else {}
    return made | piped | own | {"evaluator": evaluator_of(made["evaluator"], given)}


def _check_out(out: str | None) -> None:
    if out is not None and not out.endswith((".json", ".csv")):
        raise ConfigError(f"--out {out}: expected a file name that ends in .json or .csv")


def _bits(text: str, option: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 4 for part in parts):
        raise ConfigError(f"{option} {text!r}: expected numbers of bits with commas between them, such as {option} 4,8")
    return [int(part) for part in parts]


def _share(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ConfigError(f"--most-loss {text!r}: expected a share, such as 0.5% or 0.005") from None


def _axes(texts: Sequence[str]) -> dict[str, list[str]]:
    given = parse_edits(texts, option="--axis", example="--axis array.rows=8,16")
    return {path: [value.strip() for value in text.split(",") if value.strip()] for path, text in given.items()}


def _tell(found: BitSearch, *, commands: bool) -> None:
    from accelsim.report import list_table

    of = "accuracy" if found.accuracy_of == "labels" else "agreement with the float network"
    front, best = found.front, found.best
    say(
        f"{found.network} on {found.machine}: {len(front)} of {len(found.trials)} points are on the front in energy, latency and {of}, "
        f"over {found.inputs} inputs"
    )
    show(list_table(_titles(found), [_cells(found, x, best) for x in front]), natural=WIDE)
    say(f"W8A8: {_figures(found.baseline)}; float: {found.float_accuracy:.2%}")
    for pair in found.agreements:
        ranks = f"Spearman {pair.spearman:.3f}, Kendall {pair.kendall:.3f} over {pair.points} points"
        say(f"proxy of {pair.proxy} and {pair.truth}: {ranks}")
    say(
        f"{found.method}: {len(found.trials)} points and {found.probes} probes in {found.seconds:.0f} s, "
        f"hypervolume {found.hypervolume:.4f} of the box up to W8A8"
    )
    _tell_best(found)
    for x in front:
        if commands or x is best:
            say(f"point {found.trials.index(x)}: {found.command(x)}")


def _tell_best(found: BitSearch) -> None:
    errors = [x.error for x in found.trials if x.error]
    if errors:
        note(f"{len(errors)} points failed, the first: {errors[0]}")
    best = found.best
    if best is None:
        note(
            f"no point loses {found.most_loss:.2%} or less against W8A8; allow more by --most-loss, or more bits by --widths and --acts"
        )
        return
    saved = 1 - best.energy_pj / found.baseline.energy_pj
    say(
        f"best within {found.most_loss:.2%}: point {found.trials.index(best)}, {saved:.1%} less energy than W8A8: {_figures(best)}"
    )


def _titles(found: BitSearch) -> list[str]:
    axes = [path for path, _ in found.trials[0].edits]
    costs = ["energy", "of W8A8", "latency", "of W8A8", "accuracy", "SQNR", "sums"]
    return ["point", *axes, *costs, "weights", "activations", ""]


def _cells(found: BitSearch, x: Trial, best: Trial | None) -> list[str]:
    from accelsim.report import figure

    pairs = list(zip(found.slots.slots, x.bits, strict=True))
    weights, acts = ([bits for slot, bits in pairs if slot.place.weights is kind] for kind in (True, False))
    return [
        str(found.trials.index(x)),
        *(str(value) for _, value in x.edits),
        figure("energy_pj", x.energy_pj),
        f"{x.energy_pj / found.baseline.energy_pj:.1%}",
        figure("latency_s", x.latency_s),
        f"{x.latency_s / found.baseline.latency_s:.1%}",
        f"{x.accuracy:.2%}",
        f"{x.sqnr_db:.1f} dB",
        f"{x.accumulator_bits} bits",
        _widths(weights),
        _widths(acts),
        "best" if x is best else "",
    ]


def _widths(bits: Sequence[int]) -> str:
    """All of them, or of many their range and mean."""
    if len(bits) <= MOST_LISTED:
        return ",".join(map(str, bits))
    return f"{min(bits)} to {max(bits)}, mean {sum(bits) / len(bits):.1f}"


def _figures(x: Trial) -> str:
    from accelsim.report import figure

    costs = figure("energy_pj", x.energy_pj), figure("latency_s", x.latency_s)
    return f"{', '.join(costs)}, {x.accuracy:.2%}, SQNR {x.sqnr_db:.1f} dB"
