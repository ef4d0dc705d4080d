"""A layer writes its own tensor and nothing beside it: what stands behind the last one stays as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.execute import WholeReader
from accelsim.graph import Graph
from accelsim.numerics import INT8
from tests.execute.test_whole import graph_of
from tests.generate import random_graph, random_input
from tests.kernels.layers import random_codes
from tests.kernels.test_vector import MAKERS

MARGIN, FILL = 64, 77
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=40)


def run_with_a_margin(graph: Graph, inputs: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """The same outputs in a memory that goes on, and a margin that nobody has written."""
    reader = WholeReader(graph)
    expected = reader.run(inputs)
    room = reader._room
    room.memory = np.concatenate([room.memory, np.full(MARGIN, FILL, room.memory.dtype)])
    room.views = {name: room._view(graph.tensors[name]) for name in room.views}
    room.copies = {name: room._copying(view, graph.tensors[name]) for name, view in room.views.items()}
    for name, codes in reader.run(inputs).items():
        np.testing.assert_array_equal(codes, expected[name])
    assert (room.memory[-MARGIN:] == FILL).all()


@given(seed=seeds)
@relaxed
def test_of_networks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, most_layers=3)
    run_with_a_margin(graph, random_input(rng, graph))


@pytest.mark.parametrize("kind", MAKERS)
@given(seed=seeds)
@relaxed
def test_of_vector_layers(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = graph_of(MAKERS[kind](rng))
    run_with_a_margin(
        graph, {port.tensor: random_codes(rng, graph.tensors[port.tensor].shape, INT8) for port in graph.inputs}
    )
