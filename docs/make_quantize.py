"""Write the tables of docs/quantize.md: accuracy by bit-width, and what equalization gains.

python docs/make_quantize.py           # rewrites both tables; takes a few minutes; needs onnxruntime, ai-edge-litert, scikit-learn
                                       # and $ACCELSIM_SHARED (for the second, which else stays)
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from accelsim.importers import resolve_model  # noqa: E402
from accelsim.ptq import Settings, evaluate_model, parse_layers, quantize_network  # noqa: E402
from accelsim.simulation import read_inputs, run  # noqa: E402
from tests.ptq.test_quantize_tflite import litert, noise, samples  # noqa: E402
from tests.shared_models import SHARED  # noqa: E402

PAGE = Path(__file__).with_name("quantize.md")
TABLE, EQUALIZED = (
    re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL) for name in ("table", "equalized")
)
DEPTHWISE, CALIBRATION, IMAGES = "vww_mobilenetv1_fp32", 40, 100
"""The network of the second table, and how many of its images are for calibration and for the figures."""
EQUALIZED_BITS = (8, 6, 5, 4)
NETWORK, MACHINE = "digits_float", "edge_16x16"
BITS = range(2, 9)
ARITHMETICS = ("finn", "onnxruntime", "tflite-micro")
ENDS = ("image=a8", "logits=a8")
"""The input, whose codes are the pixels, and the output, whose largest code is the answer, keep 8 bits."""


@dataclass(frozen=True)
class Row:
    """One bit-width: images answered rightly, and images and logits that differ between readings."""

    bits: int
    fake: int
    machine: dict[str, int]
    codes: dict[str, int]
    logits: int
    images: int


def row(bits: int) -> Row:
    """Fake quantization by onnx's reference evaluator, and the same file on the machine, over all test images."""
    path = resolve_model(NETWORK)
    calibration = read_inputs(path.with_name(f"{NETWORK}_calib.npz"))[0]
    images, labels = read_inputs(path.with_name(f"{NETWORK}_test.npz"))
    layers = parse_layers(ENDS)
    settings = Settings(
        weights=bits, acts=bits, per_channel=True, range="mse", bias_correction=True, layers=layers
    )  # fmt: skip
    quantized = quantize_network(path, calibration, settings=settings, dialect="qonnx")
    x = images["input"]
    fake = evaluate_model(quantized.model, {"image": x[:, None]})["logits"][:, 0]
    machine, codes = {}, {}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "quantized.onnx"
        file.write_bytes(quantized.to_bytes())
        for arithmetic in ARITHMETICS:
            made = run(file, arch=MACHINE, arithmetic=arithmetic, inputs={"image": x}, labels=labels)
            machine[arithmetic] = made.result.values.correct
            codes[arithmetic] = int((made.tensors["logits"] != fake).sum())
    return Row(bits, int((fake.argmax(1) == labels).sum()), machine, codes, fake.size, len(x))


def table(rows: list[Row]) -> str:
    """Markdown."""
    titles = [f"machine, `{a}`" for a in ARITHMETICS] + [f"logits differing, `{a}`" for a in ARITHMETICS]
    lines = [f"| bits | fake-quantized | {' | '.join(titles)} |", "|---" * (2 + len(titles)) + "|"]
    for r in rows:
        shares = [f"{count / r.images:.2%}" for count in (r.fake, *(r.machine[a] for a in ARITHMETICS))]
        counts = [f"{r.codes[a]:,} of {r.logits:,}" for a in ARITHMETICS]
        lines.append(f"| {r.bits} | {' | '.join((*shares, *counts))} |")
    return "\n".join(lines) + "\n"


def equalized_row(bits: int) -> list[float]:
    """SQNR in dB of the fake-quantized output with weights of so many bits: per tensor, equalized, corrected, both; per channel."""
    path, x = SHARED / "models" / f"{DEPTHWISE}.tflite", samples(DEPTHWISE, CALIBRATION + IMAGES)
    calibration, given = x[:CALIBRATION], x[CALIBRATION:]
    real, row = next(iter(litert(path, given).values())), []
    for equalize, bias_correction, per_channel in EQUALIZED_COLUMNS.values():
        chosen = Settings(
            weights=bits, equalize=equalize, bias_correction=bias_correction, per_channel=per_channel
        )  # fmt: skip
        made = quantize_network(path, {"input": calibration}, settings=chosen, dialect="qdq", evaluator="onnxruntime")
        fake = evaluate_model(made.model, {made.source.inputs[0].name: given}, evaluator="onnxruntime")
        row.append(-10 * float(np.log10(noise(next(iter(fake.values())), real))))
    return row


EQUALIZED_COLUMNS = {
    "per tensor": (False, False, False),
    "`--equalize`": (True, False, False),
    "`--bias-correction`": (False, True, False),
    "both": (True, True, False),
    "per channel": (False, False, True),
    "per channel, both": (True, True, True),
}


def equalized_table(rows: dict[int, list[float]]) -> str:
    """Markdown."""
    lines = [f"| weights | {' | '.join(EQUALIZED_COLUMNS)} |", "|---" * (1 + len(EQUALIZED_COLUMNS)) + "|"]
    lines += [f"| {bits} | {' | '.join(f'{value:.1f}' for value in row)} |" for bits, row in rows.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    made = table([row(bits) for bits in BITS])
    text = TABLE.sub(lambda _: made, text)
    if (SHARED / "models" / f"{DEPTHWISE}.tflite").is_file():
        gained = equalized_table({bits: equalized_row(bits) for bits in EQUALIZED_BITS})
        text = EQUALIZED.sub(lambda _: gained, text)
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
