"""Sweep the space of the README's example; draw its front and write the table of it in ``docs/sweep.md``.

python docs/make_front.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import matplotlib as mpl

import accelsim
from accelsim.explore import pareto
from accelsim.report.pictures import fronts_plot
from accelsim.result import Front
from docs.pages import replaced

DOCS = Path(__file__).resolve().parent
PAGE, PLOT = DOCS / "sweep.md", DOCS / "front" / "digits.svg"
SPACE = re.compile(r'Path\("digits\.yaml"\)\.write_text\("""\n(.*?)"""\)', re.DOTALL)
OBJECTIVES, MAXIMISED = ("area_um2", "energy_pj", "accuracy"), ("accuracy",)


def swept(folder: Path) -> Front:
    """The front of the README's space."""
    found = SPACE.search((DOCS.parent / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    space = folder / "digits.yaml"
    space.write_text(found[1], encoding="utf-8")
    accelsim.sweep(space, out=folder / "out")
    (front,) = pareto(accelsim.read_sweep(folder / "out"), OBJECTIVES, maximise=MAXIMISED)
    return front


def table(front: Front) -> str:
    """In Markdown: the machine of each point, mm2, uJ and accuracy."""
    lines = ["| array | activation buffer | weights | area | energy | accuracy | |", "|---|---|---|---|---|---|---|"]
    for row in front.rows:
        buffer, bits = row["activation_buffer.size_bytes"] // 1024, row["weights.bits"]
        lines.append(
            f"| {row['array.rows']}x{row['array.cols']} | {buffer} KiB | {bits} bits | {row['area_um2'] / 1e6:.2f} mm² "
            f"| {row['energy_pj'] / 1e6:.2f} µJ | {row['accuracy']:.1%} | {'knee ' if row['knee'] else ''}|"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    with TemporaryDirectory() as folder:
        front = swept(Path(folder))
    PLOT.parent.mkdir(exist_ok=True)
    mpl.rcParams["svg.hashsalt"] = "accelsim"
    fronts_plot((front,)).savefig(PLOT, metadata={"Date": None})
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), "front", table(front)), encoding="utf-8")


if __name__ == "__main__":
    main()
