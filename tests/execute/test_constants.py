"""A constant operand is there from the start, for both readers."""

from __future__ import annotations

import numpy as np

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.execute import WholeReader, run_program
from accelsim.graph import Concat, Graph, HostPort, Tensor
from accelsim.hardware import Engine
from accelsim.mapper import map_graph
from accelsim.numerics import INT8
from accelsim.program import check_program
from accelsim.timing import schedule


def test_both_readers_load_a_constant() -> None:
    fixed = np.arange(6, dtype=np.int8).reshape(2, 3)
    layer = Concat(name="join", inputs=("x", "c"), output="y", shapes=((2, 3), (2, 3)), shape=(2, 6), axis=1)
    graph = Graph(
        name="g",
        arithmetic="tflite-micro",
        tensors={"x": Tensor("x", (2, 3), INT8), "c": Tensor("c", (2, 3), INT8), "y": Tensor("y", (2, 6), INT8)},
        layers=(layer,),
        inputs=(HostPort("x", "x"),),
        outputs=(HostPort("y", "y"),),
        constants={"c": fixed},
    )
    x = np.full((2, 3), -9, dtype=np.int8)
    expected = np.concatenate([x, fixed], axis=1)
    program = build_program(graph, arch=load_arch("tiny_8x8"), mappings=map_graph(graph, arch=load_arch("tiny_8x8")))
    check_program(program)
    np.testing.assert_array_equal(WholeReader(graph).run({"x": x})["y"], expected)
    np.testing.assert_array_equal(run_program(program, {"x": x}, timeline=schedule(program))["y"], expected)
    assert program.amount[program.of_engine(Engine.LOAD_ACTIVATIONS)].sum() == 12
