"""Codes through unrolled windows: what stands in the buffer, byte by byte, and that values stay what they were."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from accelsim.activity.measure import measure_activity
from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.execute import run_program
from accelsim.execute.memory import pack
from accelsim.execute.tiled import TiledReader
from accelsim.graph import Graph, MacLayer, Tensor
from accelsim.hardware import Engine, Memory
from accelsim.hardware.im2col import MODES
from accelsim.mapper import map_graph
from accelsim.numerics import BIPOLAR, INT8, IntFormat
from accelsim.program import Program, check_program
from tests.hardware.test_im2col import GEOMETRIES
from tests.networks import single
from tests.windows import matrix_loads, matrix_of

FORMATS = {"int8": (INT8, 7), "uint4": (IntFormat(4, signed=False), 9), "bipolar1": (BIPOLAR, 0)}


def network(name: str, fmt: IntFormat, zero_point: int) -> Graph:
    """One of the layers of test_im2col with inputs of ``fmt``."""
    kind, geometry = GEOMETRIES[name]
    graph = single(kind, geometry)
    layer = graph.layers[0]
    assert isinstance(layer, MacLayer)
    tensors = dict(graph.tensors) | {"x": Tensor("x", geometry.input_shape, fmt, zero_point)}
    return replace(graph, tensors=tensors, layers=(replace(layer, input_zero_point=zero_point),))


def codes(graph: Graph, rng: np.random.Generator) -> np.ndarray:
    x = graph.tensors["x"]
    if x.format.bipolar:
        return (2 * rng.integers(0, 2, x.shape) - 1).astype(np.int8)
    return rng.integers(x.format.min, x.format.max + 1, x.shape).astype(x.format.dtype)


def program_of(graph: Graph, mode: str) -> Program:
    """In small tiles."""
    sizes = {"weight_buffer.size_bytes": 64, "activation_buffer.size_bytes": 120, "accumulator.count": 24}
    arch = load_arch("edge_16x16").with_({"activation_buffer.im2col": mode, **sizes})
    return build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_values_are_the_same_in_all_modes(name: str, fmt: str) -> None:
    graph = network(name, *FORMATS[fmt])
    x = {"x": codes(graph, np.random.default_rng(1))}
    programs = [program_of(graph, mode) for mode in MODES]
    for program in programs:
        check_program(program)
    plain, *others = (run_program(program, x)["y"] for program in programs)
    assert len(set(plain.ravel().tolist())) > 3
    for values in others:
        np.testing.assert_array_equal(values, plain)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("mode", ["buffer", "dram"])
@pytest.mark.parametrize("name", ["padded", "transposed", "depthwise"])
def test_the_buffer_holds_the_matrix(name: str, mode: str, fmt: str) -> None:
    """Entry by entry from the windows; the zero point on padding and inserted zeros, -1 where there is none."""
    graph = network(name, *FORMATS[fmt])
    x, (form, zero_point) = codes(graph, np.random.default_rng(2)), FORMATS[fmt]
    program = program_of(graph, mode)
    reader = TiledReader(program, {"x": x})
    readers = matrix_loads(program)
    empty, seen = -1 if form.bipolar else zero_point, 0
    for i in range(len(program)):
        reader.begin(i)
        reader.let_go(i)
        reader.end(i)
        if program.memory[i] == Memory.ACTIVATIONS:
            entries = matrix_of(program, readers[i]).entries
            matrix = np.array([empty if e is None else int(x.ravel()[e]) for e in entries])
            offset, extent = int(program.offset[i]), int(program.extent[i])
            stands = reader._memories[0][Memory.ACTIVATIONS].data[offset : offset + extent]
            np.testing.assert_array_equal(stands, pack(matrix.astype(form.dtype), form))
            seen += empty in matrix[[e is None for e in entries]]
    assert seen >= 3


@pytest.mark.parametrize("mode", MODES)
def test_the_bus_toggles_with_what_is_fetched(mode: str) -> None:
    """64-bit words of the codes that each load fetches, in the order of the windows or of the box."""
    graph = network("padded", INT8, 7)
    x, program = codes(graph, np.random.default_rng(3)), program_of(graph, mode)
    (activity,) = measure_activity(program, {"x": x})
    toggled = _other_toggles(program, x)
    for load, compute in matrix_loads(program).items():
        lo, hi = program.box(load)
        box = x[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))].ravel()
        toggled += _toggles(x.ravel()[matrix_of(program, compute).fetched] if mode == "dram" else box)
    moved = program.amount[program.engine <= Engine.LOAD_WEIGHTS]
    assert activity.wires["dram_bus"].transitions == np.maximum(0, -(-moved // 8) - 1).sum()
    assert activity.wires["dram_bus"].toggled_bits == toggled


def _toggles(moved: np.ndarray) -> int:
    """Bits that change from one 64-bit word of 8-bit codes to the next."""
    data = pack(moved, INT8)
    words = np.pad(data, (0, -len(data) % 8)).view(np.uint64).tolist()
    return sum((a ^ b).bit_count() for a, b in pairwise(words))


def _other_toggles(program: Program, x: np.ndarray) -> int:
    """Toggled bits of weights and outputs."""
    (layer,), values = program.graph.layers, run_program(program, {"x": x})
    toggled = 0
    for i in np.flatnonzero(np.isin(program.engine, (Engine.LOAD_WEIGHTS, Engine.STORE))).tolist():
        whole = values["y"] if program.engine[i] == Engine.STORE else layer.weights
        lo, hi = program.box(i)
        toggled += _toggles(whole[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))])
    return toggled
