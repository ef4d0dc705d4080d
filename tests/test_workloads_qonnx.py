"""The packaged 4-bit network: its widths as trained, its logits those of qonnx bit for bit, the same on every array."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import accelsim
from accelsim.graph import Dense, Graph, MacLayer
from accelsim.importers import load_graph, packaged_models, resolve_model
from accelsim.numerics import INT8, IntFormat, Thresholds

FOLDER = Path(__file__).parents[1] / "workloads" / "digits_w4a4"
FILES = ("digits_w4a4.onnx", "digits_w4a4_test.npz", "digits_w4a4_qonnx.npz", "README.md", "make.py")
COMPOSABLE = ("bit_serial_16x16", "bit_fusion_16x16")


@cache
def graph() -> Graph:
    return load_graph(resolve_model("digits_w4a4"))


@cache
def images() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Images, labels, and what qonnx's executor made of them."""
    with np.load(FOLDER / "digits_w4a4_test.npz") as test, np.load(FOLDER / "digits_w4a4_qonnx.npz") as theirs:
        return test["input"], test["labels"], theirs["logits"]


@cache
def simulated(arch: str) -> accelsim.Simulation:
    """All test images under the exact rules."""
    source, labels, _ = images()
    return accelsim.run("digits_w4a4", arch=arch, inputs=source, labels=labels, arithmetic="finn")


def logits(arch: str) -> NDArray[np.float32]:
    tensors = simulated(arch).tensors
    assert tensors is not None
    return tensors["logits"]


def macs() -> list[MacLayer]:
    return [layer for layer in graph().layers if isinstance(layer, MacLayer)]


def test_the_network_is_packaged() -> None:
    assert packaged_models()["digits_w4a4"] == resolve_model("digits_w4a4")
    assert resolve_model("digits_w4a4").samefile(FOLDER / "digits_w4a4.onnx")


def test_widths_are_those_it_was_trained_with() -> None:
    first, second, dense = macs()
    assert [layer.weight_format for layer in macs()] == [IntFormat(4), IntFormat(2), IntFormat(4)]
    uint4 = IntFormat(4, signed=False)
    read = [graph().tensors[layer.inputs[0]].format for layer in macs()]
    assert read == [INT8, uint4, uint4]
    assert [graph().tensors[layer.output].format for layer in macs()] == [uint4, uint4, INT8]
    assert isinstance(dense, Dense)
    assert [layer.geometry.oc for layer in (first, second, dense)] == [16, 32, 10]


def test_the_second_convolution_is_ternary() -> None:
    weights = macs()[1].weights
    assert weights is not None
    assert set(np.unique(weights).tolist()) == {-1, 0, 1}


def test_nothing_is_approximated_and_levels_stand_per_channel() -> None:
    assert graph().arithmetic == "finn"
    assert not graph().approximations
    for layer in macs():
        assert isinstance(layer.requant, Thresholds)
        assert layer.requant.channel_count == layer.geometry.oc
        assert layer.bias is None
    levels = [layer.requant.levels.shape[1] for layer in macs() if isinstance(layer.requant, Thresholds)]
    assert levels[:2] == [15, 15]


@pytest.mark.parametrize("arch", ["edge_16x16", *COMPOSABLE])
def test_all_logits_are_those_of_qonnx(arch: str) -> None:
    theirs = images()[2]
    assert logits(arch).shape == theirs.shape == (397, 10)
    assert logits(arch).dtype == theirs.dtype == np.float32
    assert int((logits(arch) != theirs).sum()) == 0


def test_accuracy_is_what_its_page_says() -> None:
    values = simulated("edge_16x16").result.values
    assert values is not None
    assert (values.inputs, values.correct, f"{values.accuracy:.2%}") == (397, 383, "96.47%")
    assert values.accumulators_proved
    assert "96.47 %" in (FOLDER / "README.md").read_text(encoding="utf-8")


def busy(arch: str) -> list[int]:
    """Cycles in which the array works, by layer that multiplies."""
    names = {layer.name for layer in macs()}
    return [row.compute_cycles for row in simulated(arch).result.layers if row.name in names]


def test_few_bits_take_fewer_cycles_on_a_composable_array() -> None:
    composable, fixed = (simulated(name).timeline.total_cycles for name in ("bit_fusion_16x16", "edge_16x16"))
    assert composable < fixed
    (a, b, c), (first, second, dense) = busy("bit_fusion_16x16"), busy("edge_16x16")
    assert (a, 3 * b < second, 3 * c < dense) == (first, True, True)


def test_a_serial_array_of_as_many_lanes_pays_for_every_bit_of_an_activation() -> None:
    """256 lanes of one bit per cycle are slower than 256 multipliers of 8 bits, twice as slow at 8 bits as at 4."""
    (first, second, _), (wide, narrow, _) = busy("bit_serial_16x16"), busy("edge_16x16")
    assert first > wide
    assert second > narrow
    assert first / wide > 2 * second / narrow


def test_another_arithmetic_says_what_it_approximates_and_still_tells_digits_apart() -> None:
    near = accelsim.run(
        "digits_w4a4", arch="edge_16x16", arithmetic="tflite-micro", inputs=images()[0], labels=images()[1]
    )
    assert near.graph.arithmetic == "tflite-micro"
    assert set(near.graph.approximations) == {layer.name for layer in macs()[:2]}
    assert all("folded into one multiplier" in " ".join(said) for said in near.graph.approximations.values())
    values = near.result.values
    assert values is not None
    assert values.accuracy is not None
    assert abs(values.accuracy - 383 / 397) < 0.02


@pytest.mark.parametrize("name", FILES)
def test_files_are_small_and_hold_no_paths(name: str) -> None:
    held = (FOLDER / name).read_bytes()
    assert len(held) < 40_000
    for path in (b"/home/", b"/root/", b"/tmp/", b"/Users/", b"site-packages", b"C:\\"):
        assert path not in held
