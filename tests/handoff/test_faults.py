"""Faults put into the toy device and its bench: a comparison with the vectors names the layer and the kind."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accelsim.graph import Conv2D, Graph, HostPort, MacGeometry, Tensor
from accelsim.handoff import compare_vectors
from accelsim.numerics import INT8
from accelsim.quant import requant_from_scales
from tests.handoff.drawn import exported_graph
from tests.handoff.faulty import FAULTS, Fault, changed
from tests.networks import single

NEEDED = 0.9
LAYERS = ("first", "second", "third")


def three_layers(scheme: str) -> Graph:
    """Padded convolutions of 6 x 6 images of four channels, zero points everywhere, codes that reach both ends of their clamps."""
    geometry = MacGeometry(n=1, ih=6, iw=6, ic=4, oh=6, ow=6, oc=4, kh=3, kw=3, pad_top=1, pad_left=1)
    names, layers = ["x", "t", "u", "y"], []
    for number, name in enumerate(LAYERS):
        ratio = np.array([0.83, 1.31, 0.57, 1.09]) / 200
        requant = requant_from_scales(scheme, s_in=1, s_w=ratio, s_out=1, zero_point=5, clamp_min=-100, clamp_max=120)
        one = single(Conv2D, geometry, seed=number).layers[0]
        layers.append(
            replace(
                one, name=name, inputs=(names[number],), output=names[number + 1], input_zero_point=-7, requant=requant
            )
        )
    tensors = {name: Tensor(name, geometry.input_shape, INT8, -7) for name in names}
    ports = {"inputs": (HostPort("x", "x"),), "outputs": (HostPort("y", "y"),)}
    return Graph(name="three", arithmetic="tflite-micro", tensors=tensors, layers=tuple(layers), **ports)


def simulated(folder: Path, build: Path, layer: str, files: dict[str, str]) -> None:
    """Run the bench on one layer; what it makes goes to ``folder/results``."""
    build.mkdir()
    for name, text in files.items():
        (build / name).write_text(text)
    (folder / "results" / layer).mkdir(parents=True, exist_ok=True)
    command = [
        "iverilog",
        "-g2012",
        f"-I{folder / layer}",
        "-s",
        "layer_tb",
        "-o",
        str(build / "tb"),
        *(str(build / n) for n in files),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    subprocess.run(["vvp", "-n", str(build / "tb")], check=True, cwd=folder, capture_output=True, timeout=60)


@pytest.fixture(scope="module", params=["single", "tflite_double"])
def vectors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("iverilog") is None:
        pytest.skip("no iverilog: verilator, iverilog, make and g++ simulate the benches")
    folder = tmp_path_factory.mktemp("faults") / "v"
    exported_graph(three_layers(request.param), folder, "hex", "npy")
    return folder


def named(folder: Path, stream: str | None) -> tuple[str, str, str]:
    found = compare_vectors(folder, folder / "results", stream=stream)
    if found.first is None:
        return "", "", "no difference"
    reason = found.first.reasons[0] if found.first.reasons else None
    return found.first.layer, reason.kind if reason else "", str(reason)


@pytest.mark.oracle
@pytest.mark.slow
def test_faults_in_rtl_are_named(vectors: Path, tmp_path: Path) -> None:
    """In nine of ten at least the right layer and the right kind, with the sums and codes that the device wrote, and with its codes alone."""
    files = {name: (vectors / "bench" / name).read_text() for name in ("toy_mac.sv", "layer_tb.sv")}
    missed: dict[str | None, list[str]] = {None: [], "output": []}
    assert len(FAULTS) >= 20
    for number, fault in enumerate(FAULTS):
        guilty = f"{number % 3:03d}_{LAYERS[number % 3]}"
        shutil.rmtree(vectors / "results", ignore_errors=True)
        for layer in sorted(path.name for path in vectors.glob("0*")):
            for name in ("accumulators.hex", "output.hex"):
                (vectors / "results" / layer).mkdir(parents=True, exist_ok=True)
                shutil.copy(vectors / layer / name, vectors / "results" / layer / name)
        simulated(vectors, tmp_path / str(number), guilty, changed(fault, files))
        for stream, wrong in missed.items():
            layer, kind, said = named(vectors, stream)
            if layer != LAYERS[number % 3] or kind not in (fault.kind, fault.also):
                wrong.append(f"{fault.name}: layer {layer!r}, {kind!r}: {said}")
    for stream, wrong in missed.items():
        share = 1 - len(wrong) / len(FAULTS)
        assert share >= NEEDED, f"{stream}: {share:.0%}\n" + "\n".join(wrong)


def test_every_fault_changes_a_line(tmp_path: Path) -> None:
    exported_graph(three_layers("single"), tmp_path / "v")
    files = {name: (tmp_path / "v/bench" / name).read_text() for name in ("toy_mac.sv", "layer_tb.sv")}
    assert all(changed(fault, files) != files for fault in FAULTS)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    with pytest.raises(AssertionError):
        changed(Fault("none", "toy_mac.sv", "no such text", "", ""), files)
