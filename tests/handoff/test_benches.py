"""The benches that an export writes, run on the toy device that comes with them, and on one that is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.handoff.drawn import exported, exported_graph
from tests.handoff.test_vectors import with_requant
from tests.mixed_formats import mixed_input, mixed_program
from tests.networks import requant

pytestmark = pytest.mark.oracle
TOOLS = {"cpp": ("verilator", "g++"), "sv": ("iverilog", "vvp"), "sv-verilator": ("verilator", "g++")}
RIGHT, WRONG = "wire signed [95:0] moved   = (rounded >>> shift)", "wire signed [95:0] moved   = (scaled >>> shift)"


def make(folder: Path, bench: str, *more: str) -> subprocess.CompletedProcess[str]:
    """``make BENCH`` in the folder of benches, or skip."""
    missing = [tool for tool in (*TOOLS.get(bench, ("iverilog",)), "make") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {' and '.join(missing)}: iverilog, verilator, make and g++ simulate the benches")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if bench == "cocotb":
        python = os.environ.get("ACCELSIM_COCOTB_PYTHON")
        if python is None:
            pytest.skip("ACCELSIM_COCOTB_PYTHON names no python with cocotb")
        environment["PATH"] = f"{Path(python).parent}:{environment['PATH']}"
    quick = 'VERILATOR_FLAGS=-MAKEFLAGS "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"'
    command = ["make", "--no-print-directory", "-C", str(folder / "bench"), bench, quick, *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)


def same_files(folder: Path, layer: str, name: str) -> bool:
    """Whether what a bench wrote is what the export did."""
    golden, made = folder / layer, folder / "results" / layer
    if (made / f"{name}.hex").exists():
        return (made / f"{name}.hex").read_bytes() == (golden / f"{name}.hex").read_bytes()
    return np.array_equal(np.load(made / f"{name}.npy"), np.load(golden / f"{name}.npy").reshape(-1))


def test_the_systemverilog_bench_runs_in_verilator_too(tmp_path: Path) -> None:
    exported_graph(with_requant(requant(2)), tmp_path / "v")
    done = make(tmp_path / "v", "sv-verilator")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(same_files(tmp_path / "v", "000_layer", name) for name in ("accumulators", "output"))


@pytest.mark.parametrize("bench", ["cpp", "sv", "cocotb"])
def test_each_bench_passes_the_toy_and_fails_one_that_truncates(bench: str, tmp_path: Path) -> None:
    """A padded convolution with zero points."""
    exported_graph(with_requant(requant(2)), tmp_path / "v", "hex", "npy")
    done = make(tmp_path / "v", bench)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS 000_layer" in done.stdout + done.stderr
    assert all(same_files(tmp_path / "v", "000_layer", name) for name in ("accumulators", "output"))
    toy = tmp_path / "v/bench/toy_mac.sv"
    text = toy.read_text()
    assert RIGHT in text
    toy.write_text(text.replace(RIGHT, WRONG).replace("lint_on", "lint_off"))
    done = make(tmp_path / "v", bench)
    assert done.returncode != 0, done.stdout + done.stderr
    assert "FAIL 000_layer" in done.stdout + done.stderr


def test_layers_of_many_formats(tmp_path: Path) -> None:
    """Widths from 1 to 16 bits, with and without sign, accumulators that wrap, by the bench that runs fastest."""
    done = 0
    for seed in range(40, 60):
        program = mixed_program(seed, **{"accumulator.overflow": "wrap"})
        if done == 4 or program.macs > 10_000:
            continue
        folder = tmp_path / str(seed)
        plan = exported(program, mixed_input(np.random.default_rng(seed), program.graph), folder, tiles=False)
        layer = plan.layers[-1].exported
        ran = make(folder, "sv", f"LAYER={layer.folder}")
        assert ran.returncode == 0, f"seed {seed}: {ran.stdout}{ran.stderr}"
        assert same_files(folder, layer.folder, "accumulators")
        done += 1
    assert done == 4
