"""Compare the energy tables with published figures and synthesis, and write the tables of ``docs/energy.md``.

    python docs/make_energy.py          # needs $ACCELSIM_SHARED

The page's text stays; the tables between the markers are replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from accelsim.arch import load_arch  # noqa: E402
from accelsim.energy import load_table, table_names  # noqa: E402
from accelsim.report import list_rows  # noqa: E402
from docs.pages import replaced  # noqa: E402
from tests.energy import test_hierarchy as hierarchy  # noqa: E402
from tests.energy import test_synthesis as synthesis  # noqa: E402

PAGE = ROOT / "docs" / "energy.md"
KIB = 1024
ANCHORS = (
    ("multiply, 8 bit", "multiplier", "multiply", {"left_bits": 8, "right_bits": 8}, 0.2),
    ("multiply, 32 bit", "multiplier", "multiply", {"left_bits": 32, "right_bits": 32}, 3.1),
    ("add, 8 bit", "adder", "add", {"bits": 8}, 0.03),
    ("add, 16 bit", "adder", "add", {"bits": 16}, 0.05),
    ("add, 32 bit", "adder", "add", {"bits": 32}, 0.1),
    ("64 bits of 8 KiB", "sram", "read", {"bits": 64, "capacity_bytes": 8 * KIB}, 10.0),
    ("64 bits of 32 KiB", "sram", "read", {"bits": 64, "capacity_bytes": 32 * KIB}, 20.0),
    ("64 bits of 1 MiB", "sram", "read", {"bits": 64, "capacity_bytes": 1024 * KIB}, 100.0),
    ("64 bits of DRAM, 1300 to 2600", "dram", "read", {"bits": 64}, (1300.0 * 2600.0) ** 0.5),
)  # fmt: skip
"""Horowitz, ISSCC 2014."""


def off(ours: float, theirs: float) -> str:
    return f"{(ours / theirs - 1) * 100:+.1f} %"


def markdown(titles: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    titles = list(titles)
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def packaged() -> str:
    rows = list_rows([load_table(name) for name in table_names()])
    lines = [("table", "node", "voltage", "entries", "source"), ("---",) * 5, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def anchors() -> str:
    rows = []
    for name, component, action, size, published in ANCHORS:
        cells: list[str] = [name, f"{published:.4g}"]
        for table in ("horowitz_45nm", "qkeras_45nm"):
            ours = load_table(table).entry(component, action).value(**size)
            cells += [f"{ours:.4g}", off(ours, published)]
        rows.append(cells)
    return markdown(("figure", "published, pJ", "horowitz_45nm", "off", "qkeras_45nm", "off"), rows)


def bitfusion() -> str:
    rows = []
    for n, m in synthesis.SHAPES:
        base = synthesis.bitfusion(n, m, 8, 8)["mac"]
        for bits in (2, 4, 8, 16):
            measured = synthesis.bitfusion(n, m, bits, bits)["mac"]
            ours = synthesis.element("mac", bits) / synthesis.element("mac", 8)
            rows.append(
                (
                    f"{n}x{m}",
                    bits,
                    f"{measured:.4f}",
                    f"{measured / base:.3f}",
                    f"{ours:.3f}",
                    off(ours, measured / base),
                )
            )
    return markdown(("array", "bits", "pJ per cycle", "relative to 8 bits", "law", "residual"), rows)


def saving() -> str:
    rows = []
    for n, m in synthesis.SHAPES:
        pj = [synthesis.bitfusion(n, m, bits, bits)["mac"] for bits in (8, 4)]
        rows.append((f"Bit Fusion {n}x{m}, synthesis", f"{pj[0]:.4f}", f"{pj[1]:.4f}", f"{pj[0] / pj[1]:.2f}"))
    pj = [synthesis.element("mac", bits) for bits in (8, 4)]
    rows.append(("bitfusion_45nm, element", f"{pj[0]:.4f}", f"{pj[1]:.4f}", f"{pj[0] / pj[1]:.2f}"))
    table = load_table("horowitz_45nm")
    add = table.entry("adder", "add").value(bits=32)
    multiply = [table.entry("multiplier", "multiply").value(left_bits=b, right_bits=b) for b in (8, 4)]
    rows.append(
        ("horowitz_45nm, multiplier alone", *(f"{pj:.4f}" for pj in multiply), f"{multiply[0] / multiply[1]:.2f}")
    )
    both = [pj + add for pj in multiply]
    rows.append(("horowitz_45nm, with a 32-bit add", *(f"{pj:.4f}" for pj in both), f"{both[0] / both[1]:.2f}"))
    return markdown(("processing element", "8 bits, pJ", "4 bits, pJ", "saving"), rows)


def worst(ratios: Iterable[float]) -> str:
    found = [ratio - 1 for ratio in ratios]
    return f"{min(found) * 100:+.1f} % to {max(found) * 100:+.1f} %"


def areas() -> str:
    table, rows = load_table("ihp_130nm"), []
    base = synthesis.mac_um2(table, 8, 8, 32)
    for library in ("ihp130", "sky130hd"):
        mac = synthesis.base_mac(library)
        macs = [
            synthesis.mac_um2(table, w, a, acc) / base / (um2 / mac)
            for w, a, acc, um2 in synthesis.synthesised(library, "mac")
        ]
        products = [
            table.entry("multiplier", "area").value(left_bits=w, right_bits=a) / base / (um2 / mac)
            for w, a, _, um2 in synthesis.synthesised(library, "mul")
        ]
        shifts = [
            table.entry("shifter", "area").value(bits=acc) / base / (um2 / mac)
            for _, output, acc, um2 in synthesis.synthesised(library, "sh")
            if output >= 4
        ]
        for name, ratios in (("multiplier", products), ("MAC", macs), ("power-of-two requantization", shifts)):
            rows.append((f"{library}, {name}", len(ratios), worst(ratios)))
    cases = list(synthesis.synthesised("sky130hd", "mac"))
    form = np.array([[w * a, w + a, acc, 1.0] for w, a, acc, _ in cases])
    um2 = np.array([case[3] for case in cases])
    fit = np.linalg.lstsq(form / um2[:, None], np.ones(len(um2)), rcond=None)[0]
    rows.append(("sky130hd, MAC, coefficients of its own (um2, least squares)", len(cases), worst(form @ fit / um2)))
    return markdown(("unit, relative to the 8x8-bit MAC with 32-bit sums", "units", "residuals"), rows)


def sram() -> str:
    table, rows = load_table("ihp_130nm"), []
    for row in synthesis.rows("sram_ihp130.csv"):
        if row["bits"] != "64":
            continue
        cells: list[str] = [f"{float(row['KiB']):g} KiB"]
        for action in ("read", "write"):
            published = float(row[f"{action}_pJ"])
            ours = table.entry("sram", action).value(bits=64, capacity_bytes=float(row["KiB"]) * KIB)
            cells += [f"{published:.1f}", f"{ours:.1f}", off(ours, published)]
        rows.append(cells)
    return markdown(("macro of 64-bit words", "read, pJ", "law", "off", "write, pJ", "law", "off"), rows)


def unpu() -> str:
    from accelsim.energy import action_energies, table_of

    rows = []
    for name in ("horowitz_45nm", "bitfusion_45nm"):
        edits = {
            "array.weight_bits": 1,
            "array.activation_bits": 16,
            "accumulator.word_per_slice": False,
            "tech.energy_table": name,
        }
        arch = load_arch("bit_serial_16x16").with_(edits)
        pj = {}
        for bits in (16, 1):
            layer, graph = synthesis.one_product(bits, 16)
            pj[bits] = action_energies(layer, graph=graph, arch=arch, table=table_of(arch))["array_mac"]
        ratio, measured = pj[16] / pj[1], 50.6 / 3.08
        rows.append((f"energy per product, {name}", f"{measured:.1f}", f"{ratio:.1f}", off(ratio, measured)))
    ratio, measured = arch.macs_per_cycle(1, 16) / arch.macs_per_cycle(16, 16), 7372 / 345.6
    rows.append(("throughput", f"{measured:.1f}", f"{ratio:.1f}", off(ratio, measured)))
    return markdown(("16 to 1 weight bits", "UNPU", "ours", "off"), rows)


def compared(found: hierarchy.Compared) -> list[str]:
    """Ours, its range, and how far off the published figure it is."""
    if found.ours != found.ours:
        return ["—"] * 3
    return [f"{found.ours:.2f}", f"{found.low:.2f} to {found.high:.2f}", off(found.ours, found.published)]


def levels() -> str:
    rows: list[list[object]] = []
    for name in hierarchy.TABLES:
        table = load_table(name)
        found = {level: hierarchy.level(level, table) for level in hierarchy.LEVELS}
        found["MAC and register file"] = hierarchy.element(table)
        found["chip, per MAC"] = hierarchy.on_chip(hierarchy.EYERISS.with_({"tech.energy_table": name}))
        rows += [[name, level, f"{each.published:.2f}", *compared(each)] for level, each in found.items()]
    return markdown(("table", "16 bits", "published, MACs", "ours", "range", "off"), rows)


SECTIONS = {
    "hierarchy": levels,
    "packaged": packaged, "anchors": anchors, "bitfusion": bitfusion, "saving": saving, "areas": areas, "sram": sram, "unpu": unpu,
}  # fmt: skip


def page(text: str) -> str:
    """``text`` with what stands between the markers of each section replaced."""
    for name, table in SECTIONS.items():
        text = replaced(text, name, table())
    return text


def main() -> None:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
