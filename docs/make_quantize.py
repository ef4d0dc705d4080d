"""Write the table of docs/quantize.md: accuracy by bit-width, from fake quantization and from the bit-exact machine.

python docs/make_quantize.py           # rewrites the table in docs/quantize.md; takes a few minutes
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from accelsim.importers import resolve_model
from accelsim.quantize import Settings, evaluate_model, parse_layers, quantize_network
from accelsim.simulation import read_inputs, run

PAGE = Path(__file__).with_name("quantize.md")
TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- /table -->)", re.DOTALL)
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


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    made = table([row(bits) for bits in BITS])
    PAGE.write_text(TABLE.sub(lambda _: made, text), encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()
