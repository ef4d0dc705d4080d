"""Compare every tensor of trained networks with four runtimes and write the counts into ``docs/validation.md``.

    python docs/make_validation.py          # needs ai-edge-litert, tflite-micro and $ACCELSIM_SHARED

The page's text stays; the table between the two markers is replaced.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from accelsim.execute import WholeReader  # noqa: E402
from accelsim.importers import load_graph, resolve_model  # noqa: E402
from tests.oracles.runtimes import RUNTIMES  # noqa: E402
from tests.shared_models import INT8_MODELS, SHARED  # noqa: E402

PAGE = ROOT / "docs" / "validation.md"
BEGIN, END = "<!-- begin: make_validation.py -->\n", "<!-- end -->\n"
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


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
