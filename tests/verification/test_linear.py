"""The sums that verification compares by: those of the compiled loops, for every kind of layer that has some."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.execute import WholeReader
from accelsim.numerics import requantize
from accelsim.verification.readings.linear import is_linear, sums_of
from accelsim.verification.readings.machine import Machine
from tests.generate import random_graph, random_input


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_requantized_they_are_the_codes_of_the_machine(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    values = random_input(rng, graph)
    made = Machine(graph).run(values)
    for name, codes in WholeReader(graph).run(values, keep="all").items():
        assert np.array_equal(codes, made[name]), name
    for layer in graph.layers:
        if is_linear(layer):
            sums = sums_of(layer, [made[name] for name in layer.inputs])
            codes = requantize(sums, layer.requant)
            assert np.array_equal(codes.reshape(-1), made[layer.output].reshape(-1)), type(layer).__name__
