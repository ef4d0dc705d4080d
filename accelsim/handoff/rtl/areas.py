"""Gates of the exported RTL beside the areas that the energy table gives the same parts of the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelsim.arch import Arch
from accelsim.energy import Costs, area_charges, area_factor, table_of, with_areas
from accelsim.errors import ConfigError
from accelsim.handoff.rtl.netlist import Netlist, base, find_yosys, synthesize

NAND2_UM2, NAND2_NM = 7.26, 130
"""Area of a NAND2 of IHP's SG13G2 cells, by which the packaged table ``ihp_130nm`` is made; other nodes by Stillmaker & Baas."""
BUFFERS = {"u_weights": "weight_buffer", "u_activations": "activation_buffer", "u_outputs": "output_buffer"}
MODULES = {
    "accumulator": ("accumulators",), "array": ("array_ws", "array_os", "array_tree"),
    "sequencer": ("fold_feeder", "sum_feeder", "input_feeder", "op_queue", "scoreboard", "load_engine", "store_engine"),
    "requantizer": ("requantizer",),
}  # fmt: skip
"""Of each part; what is in such a module belongs to it too."""
LOGIC, MEMORY = ("array", "requantizer"), ("accumulator", *BUFFERS.values())
"""Parts of the table that stand for logic, and for bits."""


@dataclass(frozen=True)
class RtlPart:
    """A part of the machine: gate equivalents (of two-input NANDs) with its flip-flops, of which ``flip_flops``, bits of memories, and the
    table's square micrometres; None where the table has no such part."""

    name: str
    gates: float
    flip_flops: int
    memory_bits: int
    table_um2: float | None = None


def part_of(path: tuple[str, ...]) -> str:
    """The part that the last module of a path from the top down belongs to."""
    names = [base(module) for module in path]
    if "element_memory" in names:
        return BUFFERS.get(path[-1].rsplit(".", 1)[-1], "buffers")
    for part, modules in MODULES.items():
        if set(names) & set(modules):
            return part
    return "between them"


def parts_of_netlist(netlist: Netlist, areas: Mapping[str, float | None]) -> list[RtlPart]:
    """Every part that the RTL has, those of the table first."""
    order = (*LOGIC, *MEMORY, "sequencer", "between them")
    found = {name: RtlPart(name, 0.0, 0, 0, areas.get(name)) for name in order}
    for path in netlist.walk():
        part, module = found[part_of(path)], path[-1]
        gates, flip_flops = netlist.gates_of(module)
        found[part.name] = replace(
            part, gates=part.gates + gates, flip_flops=part.flip_flops + flip_flops,
            memory_bits=part.memory_bits + netlist.memory_bits(module),
        )  # fmt: skip
    return list(found.values())


def nand2_um2(node_nm: float) -> float:
    """Of a two-input NAND at ``node_nm``; ConfigError beyond 7 to 130 nm."""
    return NAND2_UM2 * area_factor(node_nm) / area_factor(NAND2_NM)


def synthesizer(arch: Arch) -> str:
    """The yosys that is there, before anything is done for it. AccelsimError where none is, ConfigError where the energy table of ``arch``
    names no node, which the area of a gate goes by."""
    _node_nm(arch)
    return find_yosys()


def rtl_areas(folder: Path, arch: Arch, yosys: str) -> list[RtlPart]:
    """Of the export of ``arch`` in ``folder`` by ``yosys``. AccelsimError where that fails."""
    netlist = synthesize(folder, yosys)
    charges = area_charges(arch, Costs(with_areas(table_of(arch))))
    return parts_of_netlist(
        netlist, {name: None if found is None else sum(found.values()) for name, found in charges.items()}
    )


def areas_text(parts: Sequence[RtlPart], arch: Arch) -> str:
    """A Markdown table: of logic the area of its gates over the table's, of memories the table's area of a bit."""
    node_nm = _node_nm(arch)
    gate = nand2_um2(node_nm)
    head = (
        "part",
        "gates",
        "flip-flops",
        "memory bits",
        "gates' um2",
        "table's um2",
        "gates' / table's",
        "table's um2 a bit",
    )
    rows = [" | ".join(_cells(part, gate)) for part in parts]
    note = f"A gate is a two-input NAND of {gate:.3g} um2 at {node_nm:g} nm."
    return (
        "\n".join(
            [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1), *(f"| {row} |" for row in rows), "", note]
        )
        + "\n"
    )


def _node_nm(arch: Arch) -> float:
    node_nm = table_of(arch).node_nm
    if node_nm is None:
        raise ConfigError(
            f"tech.energy_table of {arch.tech.energy_table}: it names no node, which the area of a gate goes by"
        )
    return node_nm


def _cells(part: RtlPart, gate: float) -> Iterator[str]:
    yield part.name.replace("_", " ")
    yield f"{part.gates:,.0f}"
    yield f"{part.flip_flops:,}"
    yield f"{part.memory_bits:,}" if part.memory_bits else ""
    yield f"{part.gates * gate:,.0f}"
    yield "" if part.table_um2 is None else f"{part.table_um2:,.0f}"
    yield f"{part.gates * gate / part.table_um2:.2f}" if part.name in LOGIC and part.table_um2 else ""
    yield (
        f"{part.table_um2 / part.memory_bits:.2f}"
        if part.name in MEMORY and part.table_um2 and part.memory_bits
        else ""
    )
