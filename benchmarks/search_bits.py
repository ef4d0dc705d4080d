"""Bits per layer by an integer programme beside greedy descent and NSGA-II, on a machine whose multipliers are composed of narrow ones.

python benchmarks/search_bits.py [--networks digits_float] [--runs milp,nsga] [--budget 40] [--times 10] [--results DIR] [--write]
python benchmarks/search_bits.py --pipeline [--runs all,axes,held] [--widths 4,5,6,7,8] ...

The networks of MLPerf Tiny stand in $ACCELSIM_SHARED; their inputs are squares of scikit-learn's two photographs and, for the network that
looks for people, of matplotlib's portrait of Grace Hopper. They have no labels: accuracy is the share of inputs with the float network's own
answer. ``--results`` keeps what each network came to; what is there is not run again. ``--write`` puts the tables into
``docs/search_bits.md``. Needs scikit-learn, onnxruntime and Optuna.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import accelsim
from accelsim.execute import prove_graph, share_correct
from accelsim.explore import FloatNetwork
from accelsim.explore.bits import PIPED, QUANTIZE, BitSearch, Trial
from accelsim.importers import load_for
from accelsim.objective import Objective
from accelsim.ptq import Widths, evaluate
from accelsim.simulation import read_inputs
from docs.pages import replaced
from tests.shared_models import SHARED

PAGE = Path(__file__).resolve().parent.parent / "docs" / "search_bits.md"
NAME, PIPED_NAME, UNIFORM_NAME, METHODS_NAME = "measured", "piped", "uniform", "methods"
MACHINE = "bit_fusion_16x16"
"""Of a network that stands without ``@MACHINE``."""
NETWORKS = ("digits_float", "ic_resnet8_fp32", "vww_mobilenetv1_fp32", "vww_mobilenetv1_fp32@tiny_8x8")
OBJECTIVES: dict[str, Objective] = {"tiny_8x8": "energy"}
"""What tiles minimise on a machine, energy x delay on others."""
WIDTHS, ACTS = (2, 3, 4, 5, 6, 7, 8), (4, 5, 6, 7, 8)
CALIBRATION, SEARCHED, HELD_OUT = 40, 200, 400
"""Inputs for ranges and probes, for the accuracy that the search sees, and for that of the table's last column."""
MOST_LOSS = {"digits_float": 0.005}
AGREEMENT_LOSS = 0.01
LESS = 0.65
"""The energy of W8A8 that a row may take at most to count as 35 % less."""
ACCUMULATOR = 16
RUNS, PIPED_RUNS = ("milp", "held", "greedy", "nsga"), ("all", "axes", "held")
METHODS = {"all": "both in turn", "milp": "integer programme", "greedy": "greedy", "nsga": "NSGA-II"}
MEMORY = "activation_buffer.resident_bytes"
AXES = {MEMORY: (0, 32768)}
"""Of the run by that name: activations through DRAM as on the machine as it is, or half of their buffer for tensors that stay."""
PIPELINE: dict[str, Any] = {
    "pipeline": "nagel", "without_steps": ("equalization", "bias-absorption"), "with_steps": ("bias-correction",),
    "evaluator": "onnxruntime",
}  # fmt: skip
"""Scales are those of channels, which leave equalization nothing to do."""


def squares(images: Sequence[np.ndarray[Any, Any]], size: int, count: int, least: int) -> np.ndarray[Any, Any]:
    """Squares of ``size`` out of ``images`` in turn, (count, 1, size, size, 3), 0 to 255: at least ``least`` wide, every second one mirrored."""
    random, cut = np.random.default_rng(0), []
    for i in range(count):
        image = images[i % len(images)]
        side = int(random.integers(least, min(image.shape[:2]) + 1))
        row, column = (int(random.integers(0, have - side + 1)) for have in image.shape[:2])
        steps = np.arange(size) * side // size
        square = image[row : row + side, column : column + side][steps][:, steps]
        cut.append(square[:, ::-1] if random.integers(2) else square)
    return np.stack(cut)[:, None].astype(np.float32)


def inputs(name: str) -> np.ndarray[Any, Any]:
    """As the network was trained to take them."""
    from matplotlib import cbook
    from PIL import Image
    from sklearn.datasets import load_sample_images

    count, photographs = CALIBRATION + SEARCHED + HELD_OUT, load_sample_images().images
    if name.startswith("ic"):
        return squares(photographs, 32, count, 32)
    portrait = np.asarray(Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB"))
    return squares([portrait, photographs[0], portrait, photographs[1]], 96, count, 213) / np.float32(255)


def files(name: str, folder: Path) -> tuple[str, str | None, str, str]:
    """Model, calibration, and two files of inputs: those that the search sees, and others."""
    if name == "digits_float":
        images, labels = read_inputs(accelsim.importers.inputs_file(name))
        searched, other = folder / "digits_searched.npz", folder / "digits_other.npz"
        np.savez(searched, labels=labels[::2], **{key: values[::2] for key, values in images.items()})
        np.savez(other, labels=labels[1::2], **{key: values[1::2] for key, values in images.items()})
        return name, None, str(searched), str(other)
    made, paths = inputs(name), [folder / f"{name}_{part}.npz" for part in ("calib", "searched", "other")]
    for path, part in zip(paths, np.split(made, [CALIBRATION, CALIBRATION + SEARCHED]), strict=True):
        np.savez(path, input=part)
    return str(SHARED / "models" / f"{name}.tflite"), *map(str, paths)


def measure(which: str, run: str, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What one search of a network came to; ``held`` has narrow accumulators, ``axes`` machines beside the widths."""
    name, _, machine = which.partition("@")
    widths, acts = ([int(bits) for bits in text.split(",")] for text in (given.widths, given.acts))
    chosen = PIPELINE | {"adaround_iterations": given.iterations} if given.pipeline else {"evaluator": "onnxruntime"}
    model, calib, searched, other = files(name, folder)
    machine = machine or MACHINE
    most, bits = MOST_LOSS.get(name, AGREEMENT_LOSS), ACCUMULATOR if run == "held" else None
    common: dict[str, Any] = {
        "arch": machine, "objective": OBJECTIVES.get(machine), "calib": calib, "test": searched, "widths": widths, "acts": acts,
        "most_loss": most, "accumulator_bits": bits, "quantize": chosen, "method": run if run in METHODS else main_of(given.pipeline),
        "axes": AXES if run == "axes" else None,
    }  # fmt: skip
    plain = common | {"quantize": {"evaluator": "onnxruntime"}, "axes": None}
    accelsim.search_bits(model, **plain | {"budget": 2, "method": "nsga"})  # compiles
    options = {**(PIPED if given.pipeline else QUANTIZE), "format": "qonnx", "accumulator_bits": bits, **chosen}
    options |= {"calib": calib} if calib else {}
    network = FloatNetwork.of(model, options)
    begun = time.process_time()
    for width in widths:
        network.calibrated.held_to(None).alone.weights(weights=width)
    learned = time.process_time() - begun
    found = accelsim.search_bits(model, **common, budget=given.times * given.budget if run == "nsga" else given.budget)
    spent = time.process_time() - begun
    print(
        f"{which} {run}: {found.hypervolume:.4f}, {found.seconds:.0f} s, {spent:.0f} s of processor",
        file=sys.stderr,
        flush=True,
    )
    cheap = [x for x in found.front if x.energy_pj <= LESS * found.baseline.energy_pj]
    rows = {"best": found.best, "less": max(cheap, key=lambda x: x.accuracy, default=None)}
    return {
        "name": name, "machine": machine, "most_loss": most, "labels": found.accuracy_of == "labels", "inputs": found.inputs,
        "slots": len(found.slots.slots), "w8a8": found.baseline.accuracy, "seconds": [found.seconds, spent, learned],
        "widths": widths, "acts": acts, "iterations": given.iterations,
        **{key: None if x is None or run in ("nsga", "greedy") else row_of(found, x, network, other) for key, x in rows.items()},
        "free": cheapest(found), **summary(found),
    }  # fmt: skip


def cheapest(found: BitSearch) -> list[float]:
    """Energy and loss of the row that takes least, whatever it loses: the bound of the widths."""
    trial = min((x for x in found.trials if not x.error), key=lambda x: x.energy_pj)
    return [trial.energy_pj / found.baseline.energy_pj, found.loss(trial)]


def summary(found: BitSearch) -> dict[str, Any]:
    return {
        "points": len(found.trials), "probes": found.probes, "hypervolume": found.hypervolume,
        "front": len(found.front), "ranks": [vars(x) for x in found.agreements],
    }  # fmt: skip


def row_of(found: BitSearch, trial: Trial, network: FloatNetwork, other: str) -> dict[str, Any]:
    """A row, with its accuracy over inputs that the search did not see, and the proof of its sums."""
    plain = FloatNetwork.of(network.path, network.quantize.model_copy(update={"accumulator_bits": None}))
    graph, arch, unseen = answer(network, found, trial.bits, trial.edits, other)
    _, _, base = answer(plain, found, found.slots.base, (), other)
    pairs = list(zip(found.slots.slots, trial.bits, strict=True))
    means = [np.mean([bits for slot, bits in pairs if slot.place.weights is kind]) for kind in (True, False)]
    proofs = prove_graph(graph, arch)
    same = next((x for x in found.trials if x.edits == trial.edits and x.bits == found.slots.base), None)
    return {
        "edits": [list(edit) for edit in trial.edits], "machine": None if same is None else same.energy_pj / found.baseline.energy_pj,
        "energy": trial.energy_pj / found.baseline.energy_pj, "latency": trial.latency_s / found.baseline.latency_s,
        "loss": found.loss(trial), "loss_unseen": base - unseen, "sqnr_db": trial.sqnr_db, "weights": float(means[0]), "acts": float(means[1]),
        "proved": all(x.safe for x in proofs), "sum_bits": max(x.bits_needed for x in proofs), "layers": len(proofs),
    }  # fmt: skip


def answer(network: FloatNetwork, found: BitSearch, bits: Any, edits: Any, other: str) -> tuple[Any, Any, float]:
    """Graph, machine and accuracy over ``other``."""
    arrays, labels = read_inputs(other)
    if labels is None:
        made = evaluate(network.calibrated.network, arrays, evaluator="onnxruntime")
        labels = np.array([tensors[network.calibrated.network.outputs[0]].argmax() for tensors in made])
    graph = network.calibrated.quantized(weights=8, acts=8, layers=found.slots.layers(bits), dialect="qonnx").graph
    graph, arch = load_for(graph, accelsim.load_arch(found.machine).with_(dict(edits)))
    return graph, arch, share_correct(graph, arch, arrays, labels)


UNIFORM = (8, 8), (6, 8), (4, 8), (8, 6), (8, 4), (6, 6), (5, 5), (4, 4), (2, 2)
"""Bits of all weights and all activations."""


def uniform(networks: Sequence[str]) -> str:
    """Markdown: energy and latency of whole networks at one width, the two ends of a last Softmax at 8 bits, over those of W8A8."""
    lines = ["| network | bits | energy | latency | DRAM's share of that energy |", "|---|---|---:|---:|---:|"]
    for name, folder in itertools.product(networks, [Path(tempfile.mkdtemp())]):
        model, calib, *_ = files(name, folder)
        options = {**QUANTIZE, "evaluator": "onnxruntime", "format": "qonnx"} | ({"calib": calib} if calib else {})
        held, first = FloatNetwork.of(model, options).calibrated, None
        ends = {place.name: Widths(None, 8) for place in [x for x in held.places if not x.weights][-2:]}
        for weights, acts in UNIFORM:
            graph = held.quantized(weights=weights, acts=acts, layers=ends, dialect="qonnx").graph
            total = accelsim.simulate(graph, arch=MACHINE).total
            first = first or total
            dram = dict(total.energy_split_pj)["dram"] / total.energy_pj
            shares = f"{total.energy_pj / first.energy_pj:.1%} | {total.latency_s / first.latency_s:.1%} | {dram:.0%}"
            lines.append(f"| `{name}` | W{weights}A{acts} | {shares} |")
    return "\n".join(lines)


def main_of(pipeline: bool) -> str:
    """The run that the rows of a network are of."""
    return PIPED_RUNS[0] if pipeline else RUNS[0]


def main_in(searches: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """That run's."""
    return next(searches[run] for run in (PIPED_RUNS[0], RUNS[0]) if run in searches)


Results = dict[str, dict[str, dict[str, Any]]]
"""By network and search."""


def tables(results: Results) -> str:
    """Markdown."""
    return "\n\n".join([first(results), against(results), ranks(results)])


def first(results: Results) -> str:
    titles = "network | row | energy | latency | weights, activations | SQNR | loss of accuracy | over inputs not searched | sums, any input"
    lines = [f"| {titles} |", "|---|---|" + "---:|" * 7]
    for searches in results.values():
        one = main_in(searches)
        what = "accuracy" if one["labels"] else "agreement"
        rows: dict[str, Any] = {
            f"least energy within {one['most_loss']:.1%} of {'labels' if one['labels'] else 'answers'}": one["best"],
            "35 % less energy, most accurate": one["less"],
        }
        if "axes" in searches:
            rows[f"least energy within it, {of_machine(searches['axes']['best'])}"] = searches["axes"]["best"]
        if "held" in searches:
            rows[f"least energy so, {ACCUMULATOR}-bit accumulators"] = searches["held"]["best"]
            rows[f"35 % less energy, {ACCUMULATOR}-bit accumulators"] = searches["held"]["less"]
        if "free" in one:
            rows["least of all points, whatever it loses"] = one["free"]
        for title, row in rows.items():
            name = f"`{one['name']}` on `{one['machine']}` ({what} of W8A8 {one['w8a8']:.1%}, {one['inputs']} inputs)"
            lines.append(f"| {name} | {title} | {cells(row)} |")
    return "\n".join(lines)


def of_machine(row: dict[str, Any] | None) -> str:
    """What the machine's own number was chosen to be, and what W8A8 takes there."""
    if row is None:
        return "machine chosen too"
    chosen = ", ".join(f"`{path}={value}`" for path, value in row["edits"])
    return f"{chosen} chosen too (W8A8 there: {row['machine'] - 1:+.1%})"


def cells(row: dict[str, Any] | list[float] | None) -> str:
    if isinstance(row, list):
        return f"{row[0] - 1:+.1%} | — | — | — | {100 * row[1]:+.1f} points | — | —"
    if row is None:
        return " | ".join(["none"] + ["—"] * 6)
    sums = f"{row['sum_bits']} bits" + (f", all {row['layers']} proved" if row["proved"] else ", too many")
    losses = f"{100 * row['loss']:+.1f} points | {100 * row['loss_unseen']:+.1f} points"
    means = f"{row['weights']:.1f}, {row['acts']:.1f} bits"
    return (
        f"{row['energy'] - 1:+.1%} | {row['latency'] - 1:+.1%} | {means} | {row['sqnr_db']:.1f} dB | {losses} | {sums}"
    )


def against(results: Results) -> str:
    ran = [run for run in METHODS if any(run in searches for searches in results.values())]
    lines = [f"| network, widths to choose | {' | '.join(METHODS[run] for run in ran)} |", "|---|" + "---:|" * len(ran)]
    for searches in results.values():
        texts = [volume(searches[run]) if run in searches else "—" for run in ran]
        one = main_in(searches)
        lines.append(f"| `{one['name']}` on `{one['machine']}`, {one['slots']} | {' | '.join(texts)} |")
    return "\n".join(lines)


def volume(search: dict[str, Any]) -> str:
    probes = f" + {search['probes']} probes" if search["probes"] else ""
    _, spent, learned = search["seconds"]
    rounding = f", {learned:.0f} of them AdaRound" if learned >= 1 else ""
    return f"{search['hypervolume']:.4f} ({search['points']} points{probes}, {spent:.0f} s{rounding})"


def ranks(results: Results) -> str:
    lines = ["| network | proxy | truth | Spearman | Kendall | points |", "|---|---|---|---:|---:|---:|"]
    for searches in results.values():
        one = main_in(searches)
        for x in one["ranks"]:
            figures = f"{x['spearman']:.3f} | {x['kendall']:.3f} | {x['points']}"
            lines.append(f"| `{one['name']}` on `{one['machine']}` | {x['proxy']} | {x['truth']} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument(
        "--runs", help=f"searches of each network: {','.join(RUNS)}; with --pipeline {','.join(PIPED_RUNS)}"
    )
    parser.add_argument("--uniform", action="store_true", help="what whole networks cost at one width, and no search")
    parser.add_argument(
        "--methods", action="store_true", help="hypervolumes alone, into a table of their own: --runs all,milp,greedy"
    )
    parser.add_argument("--pipeline", action="store_true", help="by Nagel's steps")
    parser.add_argument("--budget", type=int, default=40)
    parser.add_argument("--times", type=int, default=10, help="points of NSGA-II over those of the others")
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)), help="bits of weights to choose from")
    parser.add_argument("--acts", default=",".join(map(str, ACTS)), help="bits of activations to choose from")
    parser.add_argument("--iterations", type=int, default=300, help="of AdaRound, for a layer at a width")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.uniform:
        write(UNIFORM_NAME, uniform(given.networks.split(",")), given.write)
        return
    runs = given.runs.split(",") if given.runs else PIPED_RUNS if given.pipeline else RUNS
    results: Results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, run in itertools.product(given.networks.split(","), runs):
            kept = None if given.results is None else given.results / f"{name}-{run}.json"
            if kept is not None and kept.is_file():
                made = json.loads(kept.read_text(encoding="utf-8"))
            else:
                made = measure(name, run, given, Path(folder))
            if kept is not None:
                kept.write_text(json.dumps(made, indent=1), encoding="utf-8")
            results.setdefault(name, {})[run] = made
    if given.methods:
        write(METHODS_NAME, against(results), given.write)
    else:
        write(PIPED_NAME if given.pipeline else NAME, tables(results), given.write)


def write(name: str, text: str, into_page: bool) -> None:
    print(text)
    if into_page:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), name, text + "\n"), encoding="utf-8")


if __name__ == "__main__":
    main()
