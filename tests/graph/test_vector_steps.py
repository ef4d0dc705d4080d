"""How long the vector unit works on a layer: steps per element, times elements, on one lane."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.hardware import Engine
from accelsim.mapper import map_graph
from tests.execute.test_whole import graph_of
from tests.kernels import test_rows, test_vector

MAKERS = {**test_vector.MAKERS, **test_rows.MAKERS}
STEPS: dict[str, Callable[[Any], int]] = {
    "add": lambda layer: 3,  # each operand scaled, their sum scaled
    "mul": lambda layer: 2,  # product, scaled
    "pool": lambda layer: math.prod(layer.kernel),  # every code under the window
    "pool_by_sums": lambda layer: math.prod(layer.kernel),
    "mean": lambda layer: math.prod(layer.shapes[0]) // math.prod(layer.shape),  # every code that is summed
    "extreme": lambda layer: math.prod(layer.shapes[0]) // math.prod(layer.shape),
    "softmax": lambda layer: 24,
    "float_table_softmax": lambda layer: (
        10
    ),  # maximum; difference, table, sum; difference, table, product, quotient, rounding, zero
    "layer_norm": lambda layer: 11 + -(-20 // layer.shape[-1]),  # of each element, and 20 for the root of its row
    "float_layer_norm": lambda layer: 11 + -(-5 // layer.shape[-1]),
    "reshape": lambda layer: 0,  # another view of the same bytes
}
"""Of kinds that do more, or less, than look at each element once."""


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("seed", range(3))
def test_one_lane_takes_the_steps_of_every_element(kind: str, seed: int) -> None:
    arch = load_arch("edge_16x16").with_({"vector.lanes": 1})
    layer = MAKERS[kind](np.random.default_rng(seed))
    graph = graph_of(layer)
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    expected = STEPS.get(kind, lambda layer: 1)(layer) * math.prod(layer.shape)
    assert int(program.cycles[program.of_engine(Engine.VECTOR)].sum()) == expected
