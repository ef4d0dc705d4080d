"""How a Graph runs on a machine: tile operations with engines, regions and dependencies, as plain arrays."""

from accelsim.program.build import build_program
from accelsim.program.check import check_program
from accelsim.program.kinds import DRAM_ENGINES, WRITE_BACK, Engine, Memory
from accelsim.program.mapping import LoopOrder, MacMapping, Mapping, VectorMapping
from accelsim.program.program import Program

__all__ = [
    "DRAM_ENGINES",
    "WRITE_BACK",
    "Engine",
    "LoopOrder",
    "MacMapping",
    "Mapping",
    "Memory",
    "Program",
    "VectorMapping",
    "build_program",
    "check_program",
]
