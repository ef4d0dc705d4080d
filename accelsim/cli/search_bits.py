"""``accelsim search-bits``: the bits of every layer, chosen by what they cost on a machine and what its integers then answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from accelsim.cli.shared.console import WIDE, note, rate_bar, say, show
from accelsim.cli.shared.files import OutputFile, write_text
from accelsim.cli.shared.group import main
from accelsim.cli.shared.options import arch_option, model_argument, objective_option, parse_edits
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.explore.bits import BitSearch, Trial


@main.command("search-bits")
@model_argument
@arch_option()
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
    "--method", type=click.Choice(["milp", "greedy", "nsga"]), default="milp", show_default=True, help="Who chooses widths."
)  # fmt: skip
@click.option("--budget", type=click.IntRange(2), default=48, show_default=True, help="Points that are run, at most.")
@click.option("--minutes", type=float, help="No new point after so many minutes.")
@click.option(
    "--accumulator-bits", type=int, metavar="BITS", help="Accumulators that no sum may leave, for any input; weights are held to them."
)  # fmt: skip
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
def search_bits_command(
    model: str, *, machine: str, axes: tuple[str, ...], widths: str, acts: str, most_loss: str, range_method: str,
    per_tensor: bool, no_bias_correction: bool, objective: str | None, commands: bool, out: str | None, **options: Any,
) -> None:  # fmt: skip
    """Choose the bits of MODEL's weights and activations, layer by layer, for energy, latency and accuracy on a machine.

    MODEL is a float .onnx or .tflite network. Every row that is printed has been quantized, costed exactly and run in integers.
    """
    import accelsim
    from accelsim.objective import DEFAULT_OBJECTIVE

    _check_out(out)
    named = ("symmetric", "power_of_two", "equalize", "evaluator")
    quantize = {name: options.pop(name) for name in named} | {"range": range_method}
    quantize |= {"per_channel": not per_tensor, "bias_correction": not no_bias_correction}
    with rate_bar() as progress:
        found = accelsim.search_bits(
            model, arch=machine, widths=_bits(widths, "--widths"), acts=_bits(acts, "--acts"), axes=_axes(axes),
            most_loss=_share(most_loss), quantize=quantize, objective=objective or DEFAULT_OBJECTIVE, progress=progress, **options,
        )  # fmt: skip
    if out is not None:
        text = found.as_csv() if out.endswith(".csv") else found.as_json()
        write_text(out, lambda stream: stream.write(text))
    _tell(found, commands=commands)


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
    failed = sum(bool(x.error) for x in found.trials)
    say(
        f"{found.network} on {found.machine}: {len(found.front)} of {len(found.trials)} points are on the front in energy, latency and {of}, "
        f"over {found.inputs} inputs"
    )
    show(list_table(_titles(found), [_cells(found, x) for x in found.front]), natural=WIDE)
    say(f"W8A8: {_figures(found, found.baseline)}; float: {found.float_accuracy:.2%}")
    for x in found.agreements:
        say(f"proxy of {x.proxy} and {x.truth}: Spearman {x.spearman:.3f}, Kendall {x.kendall:.3f} over {x.points} points")
    say(f"{found.method}: {len(found.trials)} points and {found.probes} probes in {found.seconds:.0f} s, hypervolume {found.hypervolume:.4f}")
    if failed:
        note(f"{failed} points failed, the first: {next(x.error for x in found.trials if x.error)}")
    best = found.best
    if best is None:
        note(f"no point loses {found.most_loss:.2%} or less against W8A8; allow more by --most-loss, or more bits by --widths and --acts")
    else:
        saved = 1 - best.energy_pj / found.baseline.energy_pj
        say(f"best within {found.most_loss:.2%}: point {found.trials.index(best)}, {saved:.1%} less energy: {_figures(found, best)}")
    for x in found.front:
        if commands or x is best:
            say(f"point {found.trials.index(x)}: {found.command(x)}")


def _titles(found: BitSearch) -> list[str]:
    axes = [path for path, _ in found.trials[0].edits]
    return ["point", *axes, "energy", "of W8A8", "latency", "of W8A8", "accuracy", "SQNR", "sum bits", "weights", "activations", ""]


def _cells(found: BitSearch, x: Trial) -> list[str]:
    from accelsim.report.numbers import energy, seconds

    base, pairs = found.baseline, list(zip(found.slots.slots, x.bits, strict=True))
    weights, acts = ([bits for slot, bits in pairs if slot.place.weights is kind] for kind in (True, False))
    return [
        str(found.trials.index(x)), *(str(value) for _, value in x.edits),
        energy(x.energy_pj), f"{x.energy_pj / base.energy_pj:.1%}", seconds(x.latency_s), f"{x.latency_s / base.latency_s:.1%}",
        f"{x.accuracy:.2%}", f"{x.sqnr_db:.1f} dB", str(x.accumulator_bits), ",".join(map(str, weights)), ",".join(map(str, acts)),
        "best" if x is found.best else "",
    ]  # fmt: skip


def _figures(found: BitSearch, x: Trial) -> str:
    from accelsim.report.numbers import energy, seconds

    return f"{energy(x.energy_pj)}, {seconds(x.latency_s)}, {x.accuracy:.2%}, SQNR {x.sqnr_db:.1f} dB"
