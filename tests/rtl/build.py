"""What a build under Verilator compiles: C++ as fast as it compiles, and Verilator's own objects once for all builds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_FLAGS = "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0 VM_PARALLEL_BUILDS=0"
"""Compiling takes longer than so few cycles, and in a dozen files, each with Verilator's headers, longest."""


def make_flags(runtime: Path) -> str:
    """Flags for the makefile that Verilator writes; with the archive ``runtime`` of its own objects where that is there."""
    return f"{_FLAGS} VM_GLOBAL_FAST= LIBS='{runtime}'" if runtime.exists() else _FLAGS


def keep_runtime(build: Path, runtime: Path) -> None:
    """Verilator's own objects of the directory ``build`` in the archive ``runtime``, unless it is there."""
    objects = sorted(build.glob("verilated*.o"))
    if objects and not runtime.exists():
        fresh = runtime.with_suffix(f".{os.getpid()}")
        subprocess.run(["ar", "rcs", str(fresh), *map(str, objects)], check=True)
        fresh.replace(runtime)
