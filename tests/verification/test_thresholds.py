"""QONNX files, whose layers compare sums with thresholds: their floating-point reading, and what is told of differences."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from accelsim.arch import load_arch
from accelsim.cli import main
from accelsim.graph import Graph, MacLayer
from accelsim.importers import load_graph, resolve_model
from accelsim.numerics import Thresholds
from accelsim.quant import quantize
from accelsim.verification import VerificationReport, names, verify
from accelsim.verification.oracles.fake import FakeQuant
from tests.importers.onnx.runtime import save
from tests.importers.qonnx.oracle import Job, needs_qonnx, script
from tests.importers.qonnx.random_networks import random_case
from tests.verification.networks import digits, images

Array = NDArray[Any]
W4A4 = Path(resolve_model("digits_w4a4"))
LAYERS = ("/1/Conv", "/5/Conv", "/10/MatMul")
CASES = 16


@cache
def pictures(count: int) -> Array:
    with np.load(W4A4.with_name("digits_w4a4_test.npz")) as held:
        return np.asarray(held["input"][:count])


def loaded(seed: int, folder: Path, *, exact: bool) -> Job:
    case = random_case(seed, exact=exact)
    path = save(case.model, folder, f"net{seed}")
    return Job(path, load_graph(path), {"x": case.images})


def codes_of(graph: Graph, real: Array) -> dict[str, Array]:
    (port,) = graph.inputs
    tensor = graph.tensors[port.tensor]
    codes = quantize(real, scale=tensor.scale, zero_point=tensor.zero_point, fmt=tensor.format, rounding=port.rounding)
    return {port.tensor: tensor.from_host(codes)}


@pytest.mark.parametrize("exact", [True, False], ids=["powers of two", "float scales"])
@needs_qonnx[0]
@needs_qonnx[1]
def test_the_reading_is_what_qonnx_executes(exact: bool, tmp_path: Path) -> None:
    """Every quantized tensor; with other scales a float32 sum may round another way where an operator adds in another order."""
    jobs = [loaded(seed, tmp_path, exact=exact) for seed in range(CASES)]
    for job in jobs:
        np.savez(job.files[1], **job.feeds)  # type: ignore[arg-type]  # numpy types the keywords as one flag
    script("run_qonnx.py", *(file for job in jobs for file in job.files))
    wrong = compared = 0
    for job in jobs:
        with np.load(job.files[2]) as theirs:
            for i, image in enumerate(job.feeds["x"]):
                made = FakeQuant(job.graph).run(codes_of(job.graph, image))
                assert {layer.output for layer in job.graph.layers} <= set(made)
                for name in set(made) & set(theirs.files):
                    tensor = job.graph.tensors[name]
                    steps = (tensor.to_host(made[name]).astype(np.int64) - tensor.zero_point).astype(np.float32)
                    wrong += int((np.float32(tensor.scale) * steps != theirs[name][i].reshape(steps.shape)).sum())
                    compared += steps.size
    assert compared > 8_000
    assert wrong <= (0 if exact else 2)


@pytest.mark.parametrize("oracle", ["fake-quant", "fake-quant-float64"])
def test_random_networks_match_where_scales_are_powers_of_two(oracle: str, tmp_path: Path) -> None:
    """Every sum and product is exact in float32 then; thresholds leave nothing that could differ."""
    for seed in range(8):
        job = loaded(seed, tmp_path, exact=True)
        inputs = {"x": job.feeds["x"]}
        report = verify(job.path, arch="edge_16x16", inputs=inputs, oracle=oracle, arithmetic="finn")
        assert (report.differing, report.complete) == (0, True), seed
        assert report.elements > 10


def test_the_command_compares_every_layer() -> None:
    arguments = ["verify", "digits_w4a4", "--arch", "edge_16x16", "--arithmetic", "finn", "--count", "3"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.stderr
    assert "match (tolerance exact): 0 of" in done.stdout
    assert all(name in done.stdout for name in LAYERS)


def compared(graph: Graph, arithmetic: str = "finn") -> VerificationReport:
    report = verify(graph, arch="edge_16x16", inputs=pictures(4), arithmetic=arithmetic, reference=W4A4)
    assert report.complete
    assert sum(report.causes().values()) == report.differing
    return report


def changed(name: str, **changes: Any) -> Graph:
    graph = load_graph(W4A4)
    layers = tuple(replace(layer, **changes) if layer.name == name else layer for layer in graph.layers)
    return replace(graph, layers=layers)


def layer_of(name: str) -> MacLayer:
    layer = load_graph(W4A4).layer(name)
    assert isinstance(layer, MacLayer)
    return layer


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("fault", ["levels", "weights", "zero point"])
def test_faults_are_found_in_their_layer(name: str, fault: str) -> None:
    layer = layer_of(name)
    assert isinstance(layer.requant, Thresholds)
    assert layer.weights is not None
    change: dict[str, dict[str, Any]] = {
        "levels": {"requant": replace(layer.requant, levels=layer.requant.levels - (layer.requant.levels < 2**40) * 3)},
        "weights": {"weights": np.where(layer.weights > 0, layer.weights - 1, layer.weights)},
        "zero point": {"input_zero_point": layer.input_zero_point + 1},
    }
    cause = {"levels": names.THRESHOLDS, "weights": names.WEIGHTS, "zero point": names.INPUT_ZERO}[fault]
    report = compared(changed(name, **change[fault]))
    assert {each.layer for each in report.layers if each.forced.differing} == {name}
    assert set(report.causes()) == {cause}
    assert report.differing > 0


def test_other_arithmetics_read_the_chain_folded() -> None:
    """tflite-micro: a real bias is rounded, the multiplier rounds twice; both have their names."""
    report = compared(load_graph(W4A4, arithmetic="tflite-micro"), "tflite-micro")
    assert {names.ROUNDING} < set(report.causes()) <= {names.ROUNDING, names.BIAS_ROUNDING, names.FLOAT, names.PRODUCT}


def test_tflite_files_with_thresholds() -> None:
    """The levels are those of one exact rounding half to even: nothing but sums in float32 can differ."""
    overrides = dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), Thresholds.scheme)
    edits = {f"overrides.{operator}": scheme for operator, scheme in overrides.items()}
    arch = load_arch("edge_16x16").with_({"arithmetic": "tflite-micro", **edits})
    report = verify(digits(), arch=arch, inputs=images(3)[0])
    macs = [layer for layer in report.layers if layer.machine_rule == Thresholds.scheme]
    assert len(macs) == 5
    assert {cause.step for layer in macs for cause in layer.causes} <= {names.FLOAT}
    assert sum(layer.forced.differing for layer in macs) <= 2
