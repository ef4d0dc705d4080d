"""Networks on the preset ethos_u55_128, beside what Arm's compiler Vela estimates of them.

    python benchmarks/vela.py             # the table; $ACCELSIM_VELA_PYTHON names a python with ethos-u-vela
    python benchmarks/vela.py --write     # into docs/validation.md
    python benchmarks/vela.py --layers kws_dscnn_int8     # cycles layer by layer

Vela compiles for ethos-u55-128 (``--optimise Performance``) in its system configuration Ethos_U55_High_End_Embedded with the memory
mode Shared_Sram: activations in SRAM, weights in flash behind a port of their own. Compared are the bytes of coded weights, the cycles
of the network, and the bytes that flash delivers. Nothing is fitted; tiles are the default mapper's.
"""

from __future__ import annotations

import argparse
import configparser
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import accelsim
from accelsim.hardware import Engine
from accelsim.program import Program

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PYTHON = os.environ.get("ACCELSIM_VELA_PYTHON", "")
SHARED = Path(os.environ.get("ACCELSIM_SHARED", ROOT.parent / "shared"))
PRESET, SYSTEM = "ethos_u55_128", "Ethos_U55_High_End_Embedded"
OPTIONS = (
    "--accelerator-config", "ethos-u55-128", "--optimise", "Performance", "--system-config", SYSTEM,
    "--memory-mode", "Shared_Sram", "--verbose-performance",
)  # fmt: skip
MODELS = (
    ROOT / "workloads" / "digits_cnn" / "digits_cnn_int8.tflite",
    *(
        SHARED / "models" / f"{name}.tflite"
        for name in ("ic_resnet8_int8", "ic_resnet_large_int8", "kws_dscnn_int8", "ad_autoencoder_int8")
    ),
)
TARGETS = {"weight bytes": 10.0, "cycles": 20.0, "off-chip bytes": 20.0}
"""Percent that the two may differ by."""
Row = dict[str, str]


@dataclass(frozen=True)
class Compared:
    """One network: each figure as ours and Vela's."""

    name: str
    figures: dict[str, tuple[int, int]]

    def errors(self) -> dict[str, float]:
        """(ours - Vela's) / Vela's, in percent."""
        return {name: 100 * (ours / theirs - 1) for name, (ours, theirs) in self.figures.items()}


def compiled(model: Path, folder: Path) -> tuple[Row, list[Row]]:
    """The summary of a network and its layers, as Vela writes them."""
    command = [PYTHON, "-m", "ethosu.vela", str(model), *OPTIONS, "--output-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    (summary,) = _rows(folder / f"{model.stem}_summary_{SYSTEM}.csv")
    return summary, _rows(folder / f"{model.stem}_per-layer.csv")


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def version() -> str:
    """Of Vela."""
    done = subprocess.run([PYTHON, "-m", "ethosu.vela", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def ini() -> dict[str, str]:
    """Vela's own file of system configurations: the section of the one compared with."""
    code = "import ethosu.config_files as c; print(list(c.__path__)[0])"
    folder = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(Path(folder) / "Arm" / "vela.ini", encoding="utf-8")
    return dict(parser[f"System_Config.{SYSTEM}"])


def coded_weights(program: Program) -> int:
    """Bytes of every tile of weights, once each, without the parameters in front of them."""
    tiles = {}
    for i in np.flatnonzero(program.of_engine(Engine.LOAD_WEIGHTS)).tolist():
        (first, *inner), (end, *_) = box = program.box(i)
        parameters = program.arch.requantizer.parameter_bytes * (end - first) if not any(inner) else 0
        tiles[int(program.layer[i]), box] = int(program.amount[i]) - parameters
    return sum(tiles.values())


@cache
def compared(model: Path) -> Compared:
    """A network by both."""
    with tempfile.TemporaryDirectory() as folder:
        theirs, _ = compiled(model, Path(folder))
    run = accelsim.run(model, arch=PRESET)
    loads = run.program.of_engine(Engine.LOAD_WEIGHTS)
    return Compared(
        model.stem,
        {
            "weight bytes": (coded_weights(run.program), int(theirs["total_npu_encoded_weights"])),
            "cycles": (run.result.total.cycles, int(float(theirs["cycles_total"]))),
            "off-chip bytes": (
                int(run.program.bus_bytes[loads].sum()),
                int(float(theirs["off_chip_flash_total_bytes"])),
            ),
        },
    )


def lines(found: list[Compared]) -> Iterator[str]:
    """The table of docs/validation.md."""
    heads = [f"{figure}: accelsim | Vela | ratio" for figure in TARGETS]
    yield f"| network | {' | '.join(heads)} |\n|---|{'---:|' * (3 * len(TARGETS))}\n"
    for row in found:
        cells = [f"{ours:,} | {theirs:,} | {ours / theirs:.3f}" for ours, theirs in row.figures.values()]
        yield f"| {row.name}{'' if row.name.startswith('digits') else ' *'} | {' | '.join(cells)} |\n"


def layers(name: str) -> Iterator[str]:
    """Cycles of each layer by Vela, then by accelsim."""
    (model,) = (path for path in MODELS if path.stem == name)
    with tempfile.TemporaryDirectory() as folder:
        for row in compiled(model, Path(folder))[1]:
            if float(row["Op Cycles"]):
                yield f"Vela      {row['NNG Operator']:16} {float(row['Op Cycles']):10,.0f} (unit {float(row['NPU']):,.0f})\n"
    for layer in accelsim.simulate(model, arch=PRESET).layers:
        busy = ", ".join(f"{engine} {cycles:,}" for engine, cycles in layer.busy_cycles.items() if cycles)
        yield f"accelsim  {layer.op:16} {layer.cycles:10,} ({busy})\n"


def main() -> None:
    from docs.pages import VALIDATION, replaced

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into the page")
    parser.add_argument("--layers", metavar="NETWORK", help="cycles layer by layer instead")
    asked = parser.parse_args()
    if asked.layers:
        print("".join(layers(asked.layers)))
        return
    table = "".join(lines([compared(model) for model in MODELS]))
    print(table)
    if asked.write:
        page = VALIDATION.read_text(encoding="utf-8")
        VALIDATION.write_text(replaced(page, "vela", table), encoding="utf-8")


if __name__ == "__main__":
    main()
