"""Write the tables of docs/weight_formats.md: what each format of weights costs in accuracy, memory, cycles and energy.

python docs/make_weight_formats.py     # rewrites both tables; takes two minutes; needs onnxruntime
                                       # and $ACCELSIM_SHARED (for the second, which else stays)
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from accelsim.arch import load_arch  # noqa: E402
from accelsim.importers import resolve_model  # noqa: E402
from accelsim.ptq import Quantized, Settings, evaluate_model, quantize_network  # noqa: E402
from accelsim.quant import dequantize  # noqa: E402
from accelsim.simulation import read_inputs, run, simulate  # noqa: E402
from docs.pages import replaced  # noqa: E402
from tests.importers.onnx.runtime import run_graph  # noqa: E402
from tests.ptq.test_quantize_tflite import samples  # noqa: E402
from tests.shared_models import SHARED  # noqa: E402

PAGE = Path(__file__).with_name("weight_formats.md")
NETWORK, MACHINE = "digits_float", "edge_16x16"
BOOK = {"weight_buffer.coding": "codebook"}
SHIFT = {"array.mac": "shift_add"}


@dataclass(frozen=True)
class Case:
    """Weights of a format and bits, and a machine."""

    format: str
    bits: int
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The first two cells."""
        edits = ", ".join(f"`{path}={value}`" for path, value in self.machine.items()) or "as it is"
        return f"`{self.format}`, {self.bits} bits | {edits}"


CASES = (
    Case("symmetric", 8),
    Case("symmetric", 8, {"array.weight_zero_points": "extra_channel"}),
    Case("asymmetric", 8),
    Case("asymmetric", 8, {"array.weight_zero_points": "extra_channel"}),
    Case("codebook", 5, BOOK),
    Case("codebook", 4),
    Case("codebook", 4, BOOK),
    Case("codebook", 4, {**BOOK, "weight_buffer.decoders": 1}),
    Case("codebook", 3, BOOK),
    Case("nf4", 4, BOOK),
    Case("power-of-two", 4, BOOK),
    Case("power-of-two", 4, {**BOOK, **SHIFT}),
    Case("ternary", 2),
    Case("ternary", 2, SHIFT),
)


def quantized(case: Case) -> Quantized:
    """Weights per channel, activations of 8 bits."""
    path = resolve_model(NETWORK)
    calibration = read_inputs(path.with_name(f"{NETWORK}_calib.npz"))[0]
    settings = Settings(weights=case.bits, weight_format=case.format, per_channel=True)  # type: ignore[arg-type]
    return quantize_network(path, calibration, settings=settings)


def reference(made: Quantized, x: Any) -> Any:
    """Logits by ONNX Runtime, which computes the file on integers; of QONNX by onnx's reference evaluator."""
    if made.dialect == "qonnx":
        return evaluate_model(made.model, {"image": x[:, None]})["logits"][:, 0]
    session = onnxruntime_session(made)
    return np.concatenate([session.run(["logits"], {"image": one[None]})[0] for one in x])


def onnxruntime_session(made: Quantized) -> Any:
    """Of the file, optimized, on integers."""
    import onnxruntime

    return onnxruntime.InferenceSession(made.to_bytes(), providers=["CPUExecutionProvider"])


def row(case: Case) -> str:
    """Cells of one case."""
    made = quantized(case)
    images, labels = read_inputs(resolve_model(NETWORK).with_name(f"{NETWORK}_test.npz"))
    x = images["input"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "quantized.onnx"
        file.write_bytes(made.to_bytes())
        ran = run(file, arch=load_arch(MACHINE).with_(case.machine), inputs={"image": x}, labels=labels)
    wrong = int((ran.tensors["logits"].reshape(len(x), -1) != reference(made, x).reshape(len(x), -1)).sum())
    total, values = ran.result.total, ran.result.values
    assert values is not None
    assert values.correct is not None
    weights = sum(layer.counts["dram_read_weights"] for layer in ran.result.layers) // 8
    return (
        f"| {case.title} | {values.correct / len(x):.2%} | {wrong} of {ran.tensors['logits'].size:,} | {weights:,} | "
        f"{total.cycles:,} | {total.energy_pj / 1e6:.4f} |"
    )


def table() -> str:
    """Markdown."""
    lines = ["| weights | machine | accuracy | logits that differ | bytes of weights from DRAM | cycles | energy, uJ |"]
    lines.append("|---" * 7 + "|")
    return "\n".join([*lines, *map(row, CASES)]) + "\n"


LARGER, CALIBRATION, COMPARED = ("ic_resnet8_fp32", "vww_mobilenetv1_fp32"), 32, 8
"""The networks of the second table, images that set ranges, and images whose outputs are compared."""
LARGER_CASES = (
    Case("symmetric", 8),
    Case("asymmetric", 8),
    Case("asymmetric", 8, {"array.weight_zero_points": "extra_channel"}),
    Case("codebook", 4, BOOK),
    Case("nf4", 4, BOOK),
)


def larger_row(network: str, case: Case) -> str:
    """Cells of one case on a network of MLPerf Tiny."""
    x = samples(network, CALIBRATION + COMPARED)
    settings = Settings(weights=case.bits, weight_format=case.format, per_channel=True)  # type: ignore[arg-type]
    path = SHARED / "models" / f"{network}.tflite"
    made = quantize_network(path, {"input": x[:CALIBRATION]}, settings=settings, evaluator="onnxruntime")
    session = onnxruntime_session(made)
    known, codes = made.acts[session.get_outputs()[0].name], made.graph.outputs[0].tensor
    wrong, size, source = 0, 0, session.get_inputs()[0].name
    for one in x[CALIBRATION:]:
        ours = run_graph(made.graph, {source: one})[codes]
        theirs = session.run(None, {source: one})[0]
        real = dequantize(ours, scale=known.scale, zero_point=known.zero_point).reshape(theirs.shape)
        wrong, size = wrong + int((real != theirs).sum()), size + theirs.size
    total = simulate(made.graph, arch=load_arch(MACHINE).with_(case.machine)).total
    return f"| {network} | {case.title} | {wrong} of {size} | {total.cycles:,} | {total.energy_pj / 1e6:.2f} |"


def larger_table() -> str:
    """Markdown."""
    lines = ["| network | weights | machine | outputs that differ | cycles | energy, uJ |", "|---" * 6 + "|"]
    return "\n".join([*lines, *(larger_row(network, case) for network in LARGER for case in LARGER_CASES)]) + "\n"


def main() -> None:
    text = replaced(PAGE.read_text(encoding="utf-8"), "formats", table())
    if all((SHARED / "models" / f"{network}.tflite").is_file() for network in LARGER):
        text = replaced(text, "networks", larger_table())
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
