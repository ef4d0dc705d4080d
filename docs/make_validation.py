"""Compare every tensor of networks with the runtimes themselves and write the counts into ``docs/validation.md``.

    python docs/make_validation.py          # needs ai-edge-litert, tflite-micro, onnxruntime, onnx and $ACCELSIM_SHARED

The page's text stays; the tables between the markers are replaced.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from onnx.reference import ReferenceEvaluator  # noqa: E402

from accelsim.execute import WholeReader  # noqa: E402
from accelsim.importers import load_graph, resolve_model  # noqa: E402
from docs.pages import VALIDATION, replaced  # noqa: E402
from tests.importers.onnx import test_element_types as element_types  # noqa: E402
from tests.importers.onnx.networks import cnn  # noqa: E402
from tests.importers.onnx.runtime import differences, run_graph  # noqa: E402
from tests.oracles.runtimes import RUNTIMES  # noqa: E402
from tests.shared_models import INT8_MODELS, SHARED  # noqa: E402

INPUTS = 20
LABELS = {
    "litert-reference": "LiteRT BUILTIN_REF",
    "tflite-micro": "tflite-micro",
    "litert-optimized": "LiteRT without delegates",
    "litert-xnnpack": "LiteRT with XNNPACK",
}


def models() -> dict[str, Path]:
    found = {"digits_cnn": Path(resolve_model("digits_cnn"))}
    return found | {
        f"{name} *": path for name in INT8_MODELS if (path := SHARED / "models" / f"{name}.tflite").is_file()
    }


def compared(path: Path, arithmetic: str) -> tuple[int, int, int]:
    """(tensors, elements, differing elements) over INPUTS random inputs, end to end."""
    graph = load_graph(path, arithmetic=arithmetic)
    reader, oracle = WholeReader(graph), RUNTIMES[arithmetic](path)
    port = graph.inputs[0]
    shape = graph.tensors[port.tensor].shape
    elements = differing = tensors = 0
    for seed in range(INPUTS):
        x = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
        ours, theirs = reader.run({port.tensor: x}, keep="all"), oracle({port.host_name: x})
        shared = [name for name in theirs if name in ours]
        tensors = len(shared)
        for name in shared:
            elements += theirs[name].size
            differing += int((ours[name] != theirs[name]).sum())
    return tensors, elements, differing


def table() -> str:
    lines = ["| network | runtime | arithmetic | tensors | elements | differing |", "|---|---|---|---:|---:|---:|"]
    for name, path in models().items():
        for arithmetic, label in LABELS.items():
            tensors, elements, differing = compared(path, arithmetic)
            lines.append(f"| {name} | {label} | `{arithmetic}` | {tensors} | {elements:,} | {differing:,} |")
    return "\n".join(lines) + "\n"


def onnx_rows() -> Iterator[tuple[str, str, int, int]]:
    """(networks, runtime, elements, differing)."""
    folder = Path(tempfile.mkdtemp())
    for qdq, form in ((False, "QOperator"), (True, "QDQ")):
        for kind, weight_kind in (("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")):
            elements = differing = 0
            for seed in range(8):
                narrow = (kind, weight_kind) == ("uint8", "int8")
                net = cnn(seed, qdq=qdq, kind=kind, weight_kind=weight_kind, narrow_weights=narrow, pot=seed % 2 == 1)
                wrong, compared = differences(net.model(), net.random_feeds(2), folder, int8=kind == "int8")
                elements, differing = elements + compared, differing + sum(wrong.values())
            yield (
                f"8 random CNNs, {form}, {kind} activations, {weight_kind} weights",
                "ONNX Runtime",
                elements,
                differing,
            )
    elements = differing = 0
    for seed in range(40):
        made, model = element_types.chain(seed, element_types.KINDS)
        evaluator, graph = ReferenceEvaluator(model), element_types.load(model, folder)
        for feed in element_types.images(made.rng):
            theirs = dict(zip(evaluator.output_names, evaluator.run(None, {"image": feed}), strict=True))
            elements += sum(codes.size for codes in theirs.values())
            differing += sum(element_types.differing(graph, feed, theirs).values())
    yield "40 random QDQ networks of 2 to 16 bits, power-of-two scales", "onnx reference evaluator", elements, differing
    yield "digits_w4a4, logits of 397 images", "qonnx", *_qonnx()


def _qonnx() -> tuple[int, int]:
    """The logits that qonnx computed when the workload was made, against the packaged network's under ``finn``."""
    path = Path(resolve_model("digits_w4a4"))
    graph = load_graph(path)
    with np.load(path.with_name("digits_w4a4_test.npz")) as held:
        images = held["input"]
    theirs = np.load(path.with_name("digits_w4a4_qonnx.npz"))["logits"]
    known = graph.tensors["logits"]
    codes = np.concatenate([run_graph(graph, {"image": image[None]})["logits"] for image in images])
    logits = (codes.astype(np.float32) - known.zero_point) * np.float32(known.scale)
    return theirs.size, int((logits != theirs).sum())


def onnx_table() -> str:
    lines = ["| networks | compared with | elements | differing |", "|---|---|---:|---:|"]
    lines += [f"| {name} | {peer} | {elements:,} | {differing:,} |" for name, peer, elements, differing in onnx_rows()]
    return "\n".join(lines) + "\n"


def main() -> None:
    text = VALIDATION.read_text(encoding="utf-8")
    text = replaced(text, "tflite", table())
    VALIDATION.write_text(replaced(text, "onnx", onnx_table()), encoding="utf-8")


if __name__ == "__main__":
    main()
