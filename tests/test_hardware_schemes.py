"""Networks on machines that requantize as real hardware does: tiles and whole layers agree, and codes are the twins'."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.arch import Arch, load_arch
from accelsim.errors import ModelError
from accelsim.graph import MacLayer
from accelsim.importers import shipped_inputs
from accelsim.kernels.mac import accumulate
from accelsim.numerics import requantize_int
from accelsim.simulation import Simulation, read_inputs, run

OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
SCHEMES = ("xnnpack_rndnu", "nvdla_cvt", "ethosu_truncate", "onnx_reference", "single_8", "tosa_scale16")


def machine(scheme: str) -> Arch:
    return load_arch("edge_16x16").with_({"overrides": dict.fromkeys(OPERATORS, scheme)})


def digits(scheme: str, count: int = 4) -> Simulation:
    path = shipped_inputs("digits_cnn")
    assert path is not None
    arrays, _ = read_inputs(path)
    inputs = {name: values[:count] for name, values in arrays.items()}
    return run("digits_cnn", arch=machine(scheme), inputs=inputs, keep="all", check_inputs=1)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_codes_are_those_of_the_twin_and_of_the_tiles(scheme: str) -> None:
    done = digits(scheme)
    assert done.result.values is not None
    assert done.result.values.program_checked == 1
    layer = done.graph.layers[0]
    tensors = done.tensors
    assert tensors is not None
    sums = accumulate(layer, tensors[layer.inputs[0]][:1].reshape(layer.geometry.input_shape))
    codes = tensors[layer.output][:1].reshape(sums.shape)
    for place in np.random.default_rng(1).integers(0, sums.shape, (60, 4)).tolist():
        at = tuple(place)
        assert codes[at] == requantize_int(int(sums[at]), layer.requant, at[3])


@pytest.mark.parametrize(
    ("arithmetic", "scheme"),
    [("tosa", "single"), ("nvdla", "nvdla_cvt"), ("gemmini", "float32_half_even"), ("ethos-u-natural", "single")],
)
def test_the_arithmetic_of_a_chip_brings_its_scheme(arithmetic: str, scheme: str) -> None:
    chosen = load_arch("edge_16x16").with_({"arithmetic": arithmetic})
    layers = [layer for layer in run("digits_cnn", arch=chosen).graph.layers if isinstance(layer, MacLayer)]
    assert len(layers) > 2
    assert {layer.requant.scheme for layer in layers} == {scheme}


def test_an_alias_gives_the_bits_of_its_scheme() -> None:
    alias, own = digits("cmsis_nn", 2).tensors, digits("tflite_double", 2).tensors
    assert alias is not None
    assert own is not None
    assert all(np.array_equal(alias[name], own[name]) for name in own)


def test_a_shift_machine_says_what_it_needs() -> None:
    with pytest.raises(ModelError, match="use power-of-two scales"):
        digits("vta_shift", 1)
