"""Measure all of docs/accuracy.md: what each step, width and granularity does to outputs, latency and energy; depth multipliers; answers.

python docs/make_accuracy.py                                   # everything: some ten minutes of one core, most of it AdaRound
python docs/make_accuracy.py --networks digits_float           # some networks: what else was measured stays
python docs/make_accuracy.py --parts depth answers             # all but the networks' tables; --parts alone writes the page again
python docs/make_accuracy.py --parts costs depth answers       # behind a change of machines or tiles: no accuracy is measured again
python docs/make_accuracy.py --quick --networks digits_float   # little data, few iterations: prints, writes nothing

What is measured stands in docs/accuracy/measured.json. Needs onnxruntime and scikit-learn; $ACCELSIM_SHARED for all networks but
the packaged one; $ACCELSIM_TORCH_PYTHON for the depth multipliers, whose networks are trained; $ACCELSIM_OCR (docs/ocr.py) for those
that read text.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import matplotlib as mpl  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from accelsim.files import replacing  # noqa: E402
from accelsim.importers import resolve_model  # noqa: E402
from accelsim.ptq import Quantized, Settings, Widths, evaluate, quantize_network, read_float  # noqa: E402
from accelsim.ptq.evaluate import gather  # noqa: E402
from accelsim.ptq.pipeline import AdaRound, Choices, Piped, pipeline, run_pipeline  # noqa: E402
from accelsim.ptq.quantization import Dialect  # noqa: E402
from accelsim.ptq.settings import Range  # noqa: E402
from accelsim.quant import dequantize  # noqa: E402
from accelsim.simulation import read_inputs, run  # noqa: E402
from benchmarks.search_bits import inputs as with_people  # noqa: E402
from docs import depth_multipliers, ocr, recommendations  # noqa: E402
from docs.pages import replaced  # noqa: E402
from tests.ptq.test_quantize_tflite import samples  # noqa: E402
from tests.shared_models import SHARED  # noqa: E402

DOCS = Path(__file__).resolve().parent
PAGE, MEASURED, PLOT = DOCS / "accuracy.md", DOCS / "accuracy" / "measured.json", DOCS / "accuracy" / "depth.svg"
PARTS, COSTS = ("networks", "text", "depth", "answers"), "costs"
NETWORKS = ("digits_float", "ic_resnet8_fp32", "vww_mobilenetv1_fp32", "ad_autoencoder_fp32")
MACHINES = ("edge_16x16", "bit_fusion_16x16")
WIDTHS = ((8, 8), (6, 8), (4, 8), (4, 4))
"""Bits of weights and of activations."""
CALIBRATION, IMAGES = 40, 100
"""Inputs of the networks that are not packaged."""
TEXT = 40
"""Windows of the networks that read text, beside as many for calibration."""
TEXTS: tuple[tuple[str, Dialect, int, Range], ...] = (
    *((ocr.CLASSIFIER, "qonnx", bits, ranges) for bits in (8, 6, 4) for ranges in ("minmax", "mse")),
    (ocr.RECOGNIZER, "qdq", 8, "minmax"),
)  # fmt: skip
ITERATIONS, QUICK = 100, 20
"""Of AdaRound, a layer."""
DIALECT = "qonnx"
"""Of every file, so that one arithmetic computes all widths."""
WHOLE = {"krishnamoorthi": "`krishnamoorthi`, all steps", "wu": "`wu`, all steps"}
PLAIN = "no pipeline, `--range mse --bias-correction`: the integers"
CORRECTED = "`nagel --without adaround`, all steps"
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Data:
    """A float network, what it is calibrated on, test inputs, and what answers are held against.

    ``labels`` are real ones, or the float network's own answers, or None where outputs are no scores of classes.
    """

    path: Path
    calibration: Arrays
    inputs: Arrays
    labels: NDArray[Any] | None
    real: bool
    reference: NDArray[np.float64]

    def fewer(self, count: int) -> Data:
        """The first test inputs alone."""
        labels = None if self.labels is None else self.labels[:count]
        inputs = {name: values[:count] for name, values in self.inputs.items()}
        return Data(self.path, self.calibration, inputs, labels, self.real, self.reference[:count])


def data_of(name: str) -> Data:
    """Packaged labels for the packaged network; elsewhere the float network's answers, where it has more than one."""
    if name == NETWORKS[0]:
        path = resolve_model(name)
        calibration = read_inputs(path.with_name(f"{name}_calib.npz"))[0]
        inputs, labels = read_inputs(path.with_name(f"{name}_test.npz"))
        return Data(path, calibration, inputs, labels, True, outputs(path, inputs))
    count = CALIBRATION + IMAGES
    x = with_people(name)[:count] if name.startswith("vww") else samples(name, count)
    path, inputs = SHARED / "models" / f"{name}.tflite", {"input": x[CALIBRATION:]}
    reference = outputs(path, inputs)
    answers = None if name.startswith("ad") else reference.argmax(1)
    return Data(path, {"input": x[:CALIBRATION]}, inputs, answers, False, reference)


def outputs(path: Path, inputs: Arrays) -> NDArray[np.float64]:
    """(Inferences, numbers) of the float network."""
    network = read_float(path)
    made = evaluate(network, gather(network, inputs), evaluator="onnxruntime")
    return np.stack([tensors[network.outputs[0]].reshape(-1) for tensors in made]).astype(np.float64)


def cell(data: Data, made: NDArray[Any]) -> list[float | None]:
    """SQNR in dB and the share of answers met, of outputs (inferences, numbers)."""
    noise = np.square(made - data.reference).sum()
    met = None if data.labels is None else float(np.mean(made.argmax(1) == data.labels))
    return [float(10 * np.log10(np.square(data.reference).sum() / noise)), met]


def piped(data: Data, name: str, settings: Settings, *, without: Iterable[str] = (), iterations: int) -> Piped:
    """A pipeline over the test inputs; one scale for each tensor unless ``settings`` say otherwise."""
    settings = replace(settings, symmetric=pipeline(name).symmetric)
    without = (*without, *(() if settings.per_channel or name == "nagel" else ("per-channel",)))
    choices = Choices(without_steps=without, adaround=AdaRound(iterations=iterations))
    return run_pipeline(
        data.path, data.calibration, name=name, settings=settings, choices=choices, dialect=DIALECT,
        test=(data.inputs, data.labels), evaluator="onnxruntime",
    )  # fmt: skip


def costs(quantized: Quantized) -> dict[str, list[float]]:
    """Seconds and picojoules of an inference on each machine."""
    totals = {machine: run(quantized.graph, arch=machine).result.total for machine in MACHINES}
    return {machine: [total.latency_s, total.energy_pj] for machine, total in totals.items()}


def priced(name: str, found: dict[str, Any]) -> None:
    """Latency and energy of every column of ``found`` again, for when machines or tiles have changed: by widths alone, which set them."""
    data = data_of(name)
    for title, column in found["columns"].items():
        settings = scores_kept(data.path, columns()[title])
        made = quantize_network(
            data.path, data.calibration, settings=settings, dialect=DIALECT, evaluator="onnxruntime"
        )
        column["integers"]["costs"] = costs(made)


def integer_outputs(data: Data, quantized: Quantized) -> NDArray[Any]:
    """(Inferences, numbers) of the machine's own integers, as real numbers."""
    known = quantized.acts[quantized.source.outputs[0]]
    tensors = run(quantized.graph, arch=MACHINES[0], inputs=graph_inputs(data, quantized)).tensors
    assert tensors is not None
    made = tensors[quantized.graph.outputs[0].tensor]
    if made.dtype.kind != "f":  # codes, where the file does not end in real numbers
        made = dequantize(made, scale=known.scale, zero_point=known.zero_point)
    return made.reshape(len(made), -1)


def integers(data: Data, quantized: Quantized) -> dict[str, Any]:
    """How near the machine's own integers come, and latency and energy of an inference on each machine."""
    return {"cell": cell(data, integer_outputs(data, quantized)), "costs": costs(quantized)}


def graph_inputs(data: Data, quantized: Quantized) -> NDArray[Any]:
    """As the quantized network takes them: inferences, and the axes of one."""
    (given,) = data.inputs.values()
    shape = quantized.source.inputs[0].shape
    return given.reshape(len(given), *(shape[1:] if shape[:1] == (1,) else shape))


def plain(data: Data, settings: Settings) -> list[float | None]:
    """What the options do without a pipeline, in the integers' own outputs."""
    chosen = replace(settings, range="mse", bias_correction=True)
    made = quantize_network(data.path, data.calibration, settings=chosen, dialect=DIALECT, evaluator="onnxruntime")
    found: list[float | None] = integers(data, made)["cell"]
    return found


def scores_kept(path: Path, settings: Settings) -> Settings:
    """With 8 bits at both ends of a last Softmax, whose integers the machine computes of no fewer."""
    network = read_float(path)
    last = network.producer(network.outputs[0])
    if last is None or last.op != "Softmax":
        return settings
    return replace(settings, layers={name: Widths(acts=8) for name in (last.inputs[0], last.outputs[0])})


def measure(data: Data, settings: Settings, *, iterations: int) -> dict[str, Any]:
    """One column: every step of ``nagel``, the ends of the other ways, and the integers of the first."""
    settings = scores_kept(data.path, settings)
    full = piped(data, "nagel", settings, iterations=iterations)
    rows = {f"`{row.step}`": [row.score.sqnr_db, row.score.accuracy] for row in full.rows}
    ends = {CORRECTED: piped(data, "nagel", settings, without=("adaround",), iterations=iterations)}
    ends |= {title: piped(data, name, settings, iterations=iterations) for name, title in WHOLE.items()}
    for title, made in ends.items():
        rows[title] = [made.rows[-1].score.sqnr_db, made.rows[-1].score.accuracy]
    return {"rows": rows | {PLAIN: plain(data, settings)}, "integers": integers(data, full.quantized)}


def text_data(name: str) -> Data:
    """Windows of the photographed page; real labels for the classifier alone, and the first half for calibration."""
    path, x = ocr.network(name, Path(tempfile.mkdtemp())), ocr.text_inputs(name, 2 * TEXT)
    x, labels = ocr.turned(x) if name == ocr.CLASSIFIER else (x, None)
    inputs = {"input": x[TEXT:]}
    real = None if labels is None else labels[TEXT:]
    return Data(path, {"input": x[:TEXT]}, inputs, real, labels is not None, outputs(path, inputs))


def text_networks() -> list[dict[str, Any]]:
    """Of the networks that read text, each in the forms that it can have: SQNR of the integers in dB, answers met in float and by them."""
    made = []
    for name, dialect, bits, ranges in TEXTS:
        data = text_data(name)
        settings = Settings(weights=bits, per_channel=True, range=ranges, bias_correction=True)
        held = quantize_network(
            data.path, data.calibration, settings=settings, dialect=dialect, evaluator="onnxruntime"
        )
        codes = integer_outputs(data, held)
        row = {"network": name, "form": f"{dialect.upper()}, W{bits}A8", "ranges": ranges, "sqnr": cell(data, codes)[0]}
        made.append(row | {"met": ocr.met(name, data.reference, codes, data.labels)})
        print(made[-1], file=sys.stderr, flush=True)
    return made


def text_table(found: Iterable[Mapping[str, Any]]) -> str:
    """Markdown."""
    lines = ["| network | form | ranges | SQNR of the integers, dB | answers |", "|---|---|---|---:|---|"]
    lines += [
        f"| `{row['network']}` | {row['form']} | {row['ranges']} | {row['sqnr']:.1f} | {row['met'] or '—'} |"
        for row in found
    ]
    return "\n".join(lines) + "\n"


def columns() -> dict[str, Settings]:
    """The settings of each column, by its title."""
    return {
        f"W{weights}A{acts} {'channel' if per_channel else 'tensor'}": Settings(weights=weights, acts=acts, per_channel=per_channel)
        for weights, acts in WIDTHS
        for per_channel in (False, True)
    }  # fmt: skip


def network(name: str, *, quick: bool = False) -> dict[str, Any]:
    """All columns of a network, and what they are held against."""
    data = data_of(name).fewer(QUICK) if quick else data_of(name)
    labels, made = data.labels, {}
    for title, settings in columns().items():
        begun = time.perf_counter()
        made[title] = measure(data, settings, iterations=QUICK if quick else ITERATIONS)
        print(f"{name} {title}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    met = None if labels is None else float(np.mean(data.reference.argmax(1) == labels))
    common = None if labels is None else int(np.bincount(labels).max())
    kind = "labels" if data.real else "outputs" if labels is None else "answers"
    return {"against": kind, "inputs": len(data.reference), "float": met, "commonest": common, "columns": made}


def table(name: str, found: Mapping[str, Any]) -> str:
    """Markdown: a row for each step, then the integers, latency and energy."""
    made, count = found["columns"], found["inputs"]
    heads = {
        "labels": f"{count} images; the float network meets {found['float'] or 0:.2%} of their labels",
        "answers": f"{count} inputs, for {found['commonest']} of which the float network has the same answer",
        "outputs": f"{count} inputs",
    }
    lines = [f"`{name}`, {heads[found['against']]}:", ""]
    lines += [f"| dB{'' if found['against'] == 'outputs' else ', answers met'} | {' | '.join(made)} |"]
    lines += ["|---|" + "---:|" * len(made)]
    for step in next(iter(made.values()))["rows"]:
        lines.append(f"| {step} | {' | '.join(shown(column['rows'][step]) for column in made.values())} |")
    ends = [column["integers"] for column in made.values()]
    lines.append(f"| the integers of `nagel` | {' | '.join(shown(end['cell']) for end in ends)} |")
    for machine in MACHINES:
        for i, (what, unit) in enumerate((("latency", 1e6), ("energy", 1e-6))):
            figures = " | ".join(f"{end['costs'][machine][i] * unit:,.4g}" for end in ends)
            lines.append(f"| {what} on `{machine}`, {'µs' if i == 0 else 'µJ'} | {figures} |")
    return "\n".join(lines) + "\n"


def shown(found: list[float | None]) -> str:
    sqnr, met = found
    return f"{sqnr:.1f}" + ("" if met is None else f", {met:.1%}")


def page(measured: Mapping[str, Any]) -> str:
    """The page with the tables and the printed answers of all that was measured."""
    text = PAGE.read_text(encoding="utf-8")
    networks = measured.get("networks", {})
    made = "\n".join(table(name, networks[name]) for name in NETWORKS if name in networks)
    text = replaced(text, "accuracy", made)
    if "text" in measured:
        text = replaced(text, "text", text_table(measured["text"]))
    if "depth" in measured:
        text = replaced(text, "depth", depth_multipliers.table(measured["depth"]))
    for name, printed in measured.get("answers", {}).items():
        text = replaced(text, name, recommendations.block(name, printed))
    return text


def draw(found: Mapping[str, Any]) -> None:
    """The figure, the same bytes from the same numbers."""
    mpl.rcParams["svg.hashsalt"] = "accelsim"
    depth_multipliers.figure(found).savefig(PLOT, metadata={"Date": None})


def write(path: Path, text: str) -> None:
    """The whole file, or the one before."""
    with replacing(path) as stream:
        stream.write(text.encode())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    options.add_argument("--networks", nargs="*", choices=NETWORKS)
    options.add_argument("--parts", nargs="*", default=PARTS, choices=(*PARTS, COSTS))
    options.add_argument("--quick", action="store_true")
    given = options.parse_args()
    names = given.networks or NETWORKS
    if given.quick:
        for name in names:
            print(table(name, network(name, quick=True)))
        return
    measured = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    for name in names if "networks" in given.parts else ():
        measured.setdefault("networks", {})[name] = network(name)
        write(MEASURED, json.dumps(measured, indent=1) + "\n")
    for name in names if COSTS in given.parts else ():
        priced(name, measured["networks"][name])
    if "text" in given.parts and given.networks is None:
        measured["text"] = text_networks()
    if "depth" in given.parts and given.networks is None:
        measured["depth"] = depth_multipliers.measure()
    if "answers" in given.parts and given.networks is None:
        measured["answers"] = {name: recommendations.answer(asked) for name, asked in recommendations.ANSWERS.items()}
    write(MEASURED, json.dumps(measured, indent=1) + "\n")
    if "depth" in measured:
        draw(measured["depth"])
    write(PAGE, page(measured))


if __name__ == "__main__":
    main()
