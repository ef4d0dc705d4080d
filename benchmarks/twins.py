"""Cycles of machines that others built, beside those measured in their RTL or estimated by their compiler.

    python benchmarks/twins.py             # the table, from $ACCELSIM_SHARED/goldens/rtl, and from Vela ($ACCELSIM_VELA_PYTHON)
    python benchmarks/twins.py --write     # into docs/validation.md and accelsim/arch/checked.yaml

Each case is one layer, or a network for the compiler, on a preset whose numbers are the machine's; nothing is fitted to the cycles. Tiles
are the default mapper's.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.graph import Graph, MacGeometry

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import vela  # noqa: E402

TABLES = Path(os.environ.get("ACCELSIM_SHARED", ROOT.parent / "shared")) / "goldens" / "rtl"
CHECKED = ROOT / "accelsim" / "arch" / "checked.yaml"
Row = dict[str, int]
HEAD = "name,op,n,h,w,c,kh,kw,oc,stride,dilation,padding,groups,weight_bits,activation_bits\n"


def network(line: str) -> Graph:
    """The layer of a line of a table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.csv"
        path.write_text(HEAD + line + "\n", encoding="utf-8")
        return accelsim.load_graph(path)


def product(rows: int, depth: int, columns: int) -> Graph:
    """A matrix product."""
    return network(f"l,dense,1,{rows},1,{depth},1,1,{columns},1,1,valid,1,8,8")


def ita(row: Row) -> tuple[Arch, Graph]:
    """N units of M products; its ports are as wide."""
    units, wide = row["N"], row["M"]
    edits = {"array.rows": wide, "array.cols": units, "accumulator.products_per_add": wide, "requantizer.lanes": units}
    edits |= {"weight_buffer.bytes_per_cycle": units, "activation_buffer.bytes_per_cycle": wide}
    return load_arch("ita_16x64").with_(edits), product(row["rows"], row["K"], row["cols"])


def cfu(row: Row) -> tuple[Arch, Graph]:
    """Windows of 4 x 4 pixels, as the rows of a product."""
    return load_arch("cfu_hps"), product(row["npix"], 16 * row["C"], row["OC"])


def nvdla(row: Row) -> tuple[Arch, Graph]:
    """A convolution with any padding."""
    graph = network(
        f"l,conv2d,1,{row['H'] + 64},{row['W'] + 64},{row['C']},{row['R']},{row['S']},{row['K']},1,1,0,1,8,8"
    )
    (layer,) = graph.layers
    geometry = MacGeometry(
        n=1, ih=row["H"], iw=row["W"], ic=row["C"], oh=row["OH"], ow=row["OW"], oc=row["K"], kh=row["R"], kw=row["S"],
        stride_h=row["sy"], stride_w=row["sx"], pad_top=row["pt"], pad_left=row["pl"],
    )  # fmt: skip
    tensors = dict(graph.tensors)
    for name, shape in ((layer.inputs[0], geometry.input_shape), (layer.output, geometry.output_shape)):
        tensors[name] = replace(tensors[name], shape=shape)
    made = replace(graph, layers=(replace(layer, geometry=geometry),), tensors=tensors)
    assert made.macs == row["macs"], row
    return load_arch("nvdla_nv_small").with_({"dram.latency_ns": float(row["lat"])}), made


@dataclass(frozen=True)
class Twin:
    """A preset, its table of cycles, and how a case of it is described."""

    preset: str
    table: str
    against: str
    case: Callable[[Row], tuple[Arch, Graph]]

    def errors(self) -> NDArray[np.float64]:
        """(accelsim - measured) / measured of every case."""
        with (TABLES / self.table).open(encoding="utf-8", newline="") as file:
            rows: list[Row] = [
                {key: int(value) for key, value in row.items() if value.isdecimal()} for row in csv.DictReader(file)
            ]
        return np.array([self._cycles(row) / row["cycles"] - 1 for row in rows])

    def _cycles(self, row: Row) -> int:
        arch, graph = self.case(row)
        return accelsim.simulate(graph, arch=arch).total.cycles


@dataclass(frozen=True)
class Compiled:
    """The preset that Arm's compiler estimates networks for, which benchmarks/vela.py compares."""

    preset: str = vela.PRESET
    against: str = "estimates of Arm's compiler Vela 5.2.0"

    def errors(self) -> NDArray[np.float64]:
        """(accelsim - Vela) / Vela of every network."""
        return np.array([vela.compared(model).errors()["cycles"] / 100 for model in vela.MODELS])


TWINS: tuple[Twin | Compiled, ...] = (
    Twin("ita_16x64", "ita_cycles.csv", "RTL of ITA, 4x16 and 16x64 units", ita),
    Twin("cfu_hps", "cfu_hps_cycles.csv", "RTL of CFU Playground's HPS accelerator", cfu),
    Twin("nvdla_nv_small", "nvdla_nv_small_cycles.csv", "RTL of NVDLA nv_small", nvdla),
    Compiled(),
)


def figures(twins: Iterable[Twin | Compiled] = TWINS) -> dict[str, dict[str, str | int | float]]:
    """By preset, what it was compared with: cases, mean error, worst error and bias in percent."""
    found = {}
    for twin in twins:
        percent = 100 * twin.errors()
        size = np.abs(percent)
        found[twin.preset] = {
            "against": twin.against,
            "cases": len(percent),
            "mean": round(float(size.mean()), 1),
            "worst": round(float(size.max()), 1),
            "bias": round(float(percent.mean()), 1),
        }
    return found


def lines(found: dict[str, dict[str, str | int | float]]) -> Iterator[str]:
    """The table of docs/validation.md."""
    yield "| preset | cycles compared with | cases | mean error | worst | bias |\n|---|---|---:|---:|---:|---:|\n"
    for preset, row in found.items():
        yield (
            f"| `{preset}` | {row['against']} | {row['cases']} | {row['mean']:.1f} % | {row['worst']:.1f} % | "
            f"{row['bias']:+.1f} % |\n"
        )


def main() -> None:
    from docs.pages import VALIDATION, replaced

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into the page and the package")
    asked = parser.parse_args()
    found = figures()
    table = "".join(lines(found))
    print(table)
    if asked.write:
        page = VALIDATION.read_text(encoding="utf-8")
        VALIDATION.write_text(replaced(page, "twins", table), encoding="utf-8")
        yaml = YAML()
        with CHECKED.open("w", encoding="utf-8") as file:
            file.write(
                "# What presets were compared with, errors of their cycles in percent: benchmarks/twins.py --write\n"
            )
            yaml.dump(found, file)


if __name__ == "__main__":
    main()
