"""Write the table of docs/weight_formats.md: what each format of weights costs in accuracy, memory, cycles and energy.

python docs/make_weight_formats.py     # rewrites the table; takes a minute; needs onnxruntime
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
from accelsim.simulation import read_inputs, run  # noqa: E402
from docs.pages import replaced  # noqa: E402

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
    import onnxruntime

    session = onnxruntime.InferenceSession(made.to_bytes(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["logits"], {"image": one[None]})[0] for one in x])


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


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), "formats", table()), encoding="utf-8")
