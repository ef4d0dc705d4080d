"""Krishnamoorthi's figure of depth multipliers and bits, on digits: networks trained anew, their integers' accuracy and energy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from matplotlib.figure import Figure

from accelsim.ptq import Settings, quantize_network
from accelsim.simulation import read_inputs, run

ROOT = Path(__file__).resolve().parent.parent
TRAINER = ROOT / "workloads" / "digits_float" / "make.py"
TORCH = os.environ.get("ACCELSIM_TORCH_PYTHON", "")
MULTIPLIERS = (0.25, 0.5, 1.0)
BITS = (8, 6, 4, 3)
"""Of weights; activations have 8."""
MACHINE = "bit_fusion_16x16"


def measure() -> dict[str, Any]:
    """By multiplier: top-1 of the float network, and by bits top-1 of the integers and picojoules of an inference."""
    if not TORCH:
        raise SystemExit("depth multipliers: set ACCELSIM_TORCH_PYTHON to a Python with torch, onnx and scikit-learn")
    return {f"{multiplier:g}": trained(multiplier) for multiplier in MULTIPLIERS}


def trained(multiplier: float) -> dict[str, Any]:
    """One network, from training to integers."""
    with TemporaryDirectory() as name:
        command = [TORCH, str(TRAINER), "--multiplier", str(multiplier), "--folder", name]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        folder = Path(name)
        calibration = read_inputs(folder / "digits_float_calib.npz")[0]
        images, labels = read_inputs(folder / "digits_float_test.npz")
        found: dict[str, Any] = {"float": float(said.split()[-1].rstrip("%")) / 100, "bits": {}}
        for bits in BITS:
            settings = Settings(weights=bits, per_channel=True, range="mse", bias_correction=True)
            made = quantize_network(folder / "digits_float.onnx", calibration, settings=settings, dialect="qonnx")
            x = images["input"].reshape(-1, *made.source.inputs[0].shape[1:])
            result = run(made.graph, arch=MACHINE, inputs=x, labels=labels).result
            assert result.values is not None
            assert result.values.correct is not None
            found["macs"] = result.total.macs
            found["bits"][str(bits)] = [result.values.correct / len(x), result.total.energy_pj]
    return found


def table(found: Mapping[str, Any]) -> str:
    """Markdown."""
    lines = [f"| multiplier | MACs | float | {' | '.join(f'W{bits}A8' for bits in BITS)} |"]
    lines += ["|---:" * (3 + len(BITS)) + "|"]
    for multiplier, one in found.items():
        cells = [f"{met:.2%}, {energy * 1e-6:.2f} µJ" for met, energy in one["bits"].values()]
        lines.append(f"| {multiplier} | {one['macs']:,} | {one['float']:.2%} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def figure(found: Mapping[str, Any]) -> Figure:
    """Accuracy over the multiplier, and over energy, a line for each width."""
    made = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = made.subplots(1, 2, sharey=True)
    x = [float(multiplier) for multiplier in found]
    left.plot(x, [100 * one["float"] for one in found.values()], "k--", marker="o", label="float")
    for bits in BITS:
        ends = [one["bits"][str(bits)] for one in found.values()]
        met = [100 * end[0] for end in ends]
        left.plot(x, met, marker="o", label=f"W{bits}A8")
        right.plot([end[1] * 1e-6 for end in ends], met, marker="o", label=f"W{bits}A8")
    left.set(xlabel="depth multiplier", ylabel="top-1, %", xticks=x)
    right.set(xlabel=f"µJ an inference on {MACHINE}")
    left.legend(frameon=False)
    return made
