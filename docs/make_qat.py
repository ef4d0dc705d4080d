"""Run the recipes that train four bits, and write what their networks give in integers into ``docs/pytorch.md``.

    python docs/make_qat.py          # needs $ACCELSIM_TORCH_PYTHON and $ACCELSIM_QONNX_PYTHON

The page's text stays; the table between the markers is replaced.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from docs.pages import MARKERS, replaced

PAGE = Path(__file__).resolve().parent / "pytorch.md"
HEAD = (
    "| network | float, PyTorch | fake-quantized, PyTorch | integers, accelsim | codes beside qonnx | near ties | differing |",
    "|---|---:|---:|---:|---:|---:|---:|",
)


def row(recipe: str) -> str:
    """Accuracies over the test images, and every quantized activation of all of them beside qonnx's."""
    from tests.qat import compared, trained

    with tempfile.TemporaryDirectory() as folder:
        made = trained(recipe, Path(folder))
        counts = compared(made)
    said = " | ".join(made.accuracies[name].replace("%", " %") for name in ("float", "fake-quantized"))
    beside = f"{counts.codes:,} | {counts.near} | {counts.differing}"
    return f"| {made.model.stem} | {said} | {100 * made.accuracy:.2f} % | {beside} |"


def rows_of_the_page() -> list[str]:
    """The table's rows as they stand."""
    begin, end = (marker.format("qat") for marker in MARKERS)
    return PAGE.read_text(encoding="utf-8").split(begin)[1].split(end)[0].splitlines()[2:]


def main() -> None:
    from tests.qat import RECIPES

    table = "\n".join([*HEAD, *map(row, RECIPES)]) + "\n"
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), "qat", table), encoding="utf-8")


if __name__ == "__main__":
    main()
