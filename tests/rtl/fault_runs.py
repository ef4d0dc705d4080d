"""A fault in an exported directory: what the bench there makes of it, and what ``accelsim compare-vectors`` says."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from click.testing import CliRunner

from accelsim.builder import build_program
from accelsim.cli import main
from accelsim.handoff import export_rtl, export_vectors, plan_rtl, plan_vectors
from accelsim.mapper import map_graph
from accelsim.timing import schedule
from tests.generate import random_input
from tests.rtl.faults import Fault, changed, machine, network
from tests.rtl.machines import played

SAID = "said.txt"


class Verdict(NamedTuple):
    """The first layer that differs, the kind of the first reason, the reason, and what the bench said last."""

    fault: Fault
    layer: str
    kind: str
    said: str
    bench: str

    @property
    def named(self) -> bool:
        """Whether layer and kind are those of the fault."""
        return self.layer == self.fault.layer and self.kind in self.fault.kinds


def exports(name: str, folder: Path) -> tuple[Path, Path]:
    """RTL and vectors of the network on a machine, in ``folder``; those that are there are taken."""
    rtl, vectors = (folder / path_of(f"{name} {what}") for what in ("rtl", "vectors"))
    if not vectors.exists():
        graph, arch = network(), machine(name)
        timeline = schedule(build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch)))
        inputs = random_input(np.random.default_rng(1), graph)
        export_rtl(plan_rtl(timeline, inputs), rtl)
        export_vectors(plan_vectors(timeline, tiles=True, formats=("npy",)), inputs, vectors)
    return rtl, vectors


def whole(name: str, folder: Path) -> str:
    """What the bench says of machine ``name`` without a fault."""
    return _played(name, None, folder)


def verdict(fault: Fault, folder: Path) -> Verdict:
    """Of ``fault`` in a copy of the export of its machine; what an earlier call played in ``folder`` is not played again."""
    made = folder / path_of(fault.name)
    if not (made / SAID).exists():
        (made / SAID).write_text(_played(fault.machine, fault, folder))
        shutil.rmtree(made / "build")
    return compared(fault, folder, made / "results", (made / SAID).read_text())


def _played(name: str, fault: Fault | None, folder: Path) -> str:
    rtl, _ = exports(name, folder)
    copy = folder / path_of(fault.name if fault else name)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(rtl, copy)
    for path, text in changed(fault, sources(rtl)).items() if fault else ():
        (copy / path).write_text(text)
    return played(copy, folder / "libverilated.a", "-Wno-fatal")


def compared(fault: Fault, folder: Path, results: Path, bench: str) -> Verdict:
    """What the command says of ``results``."""
    _, vectors = exports(fault.machine, folder)
    done = CliRunner().invoke(main, ["compare-vectors", str(vectors), str(results), "--json", "-"])
    if done.exit_code not in (0, 1):
        return Verdict(fault, "", "", done.output.strip(), bench)
    first = next((one for one in json.loads(done.stdout)["streams"] if one["differing"]), None)
    if first is None:
        return Verdict(fault, "", "", "no difference", bench)
    best = first["reasons"][0] if first["reasons"] else {"kind": "", "text": "no reason", "explained": 0}
    said = f"{best['text']}: explains {best['explained']} of {first['differing']}"
    return Verdict(fault, first["layer"], best["kind"], said, bench)


@cache
def sources(rtl: Path) -> dict[str, str]:
    """The exported SystemVerilog by path."""
    return {f"rtl/{path.name}": path.read_text() for path in sorted((rtl / "rtl").glob("*.sv"))}


def path_of(name: str) -> str:
    """Without what make does not take in the name of a directory."""
    return re.sub(r"\W+", "_", name)
