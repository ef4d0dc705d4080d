"""Many inferences at once: the same bits as one after another, by any number of threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.arch import load_arch
from accelsim.errors import InputError
from accelsim.execute import WholeReader
from accelsim.graph import Graph, Tensor
from accelsim.numerics import INT16, Requant
from accelsim.simulation import run
from tests.generate import random_graph
from tests.kernels.layers import random_codes
from tests.networks import conv

relaxed = settings(deadline=None, max_examples=40)
counts, threads, seeds = st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32 - 1)


def batch_of(graph: Graph, rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    tensors = [graph.tensors[port.tensor] for port in graph.inputs]
    return {t.name: np.stack([random_codes(rng, t.shape, t.format) for _ in range(count)]) for t in tensors}


def one_by_one(reader: WholeReader, inputs: dict[str, np.ndarray], **options: Any) -> dict[str, np.ndarray]:
    runs = [
        reader.run({name: batch[i] for name, batch in inputs.items()}, **options)
        for i in range(len(next(iter(inputs.values()))))
    ]
    return {name: np.stack([one[name] for one in runs]) for name in runs[0]}


def check(graph: Graph, seed: int, count: int, threads: int, **options: Any) -> None:
    """A reader of its own does the batch: nothing in it may be left of the inferences before."""
    inputs = batch_of(graph, np.random.default_rng(seed), count)
    for keep in ("outputs", "all"):
        expected = one_by_one(WholeReader(graph, **options), inputs, keep=keep)
        got = WholeReader(graph, **options).run_batch(inputs, keep=keep, threads=threads)
        assert got.keys() == expected.keys()
        for name, values in expected.items():
            assert got[name].dtype == values.dtype
            np.testing.assert_array_equal(got[name], values, err_msg=name)


@relaxed
@given(seeds, counts, threads)
def test_threads_change_no_bit(seed: int, count: int, threads: int) -> None:
    check(random_graph(np.random.default_rng(seed)), seed, count, threads)


@settings(relaxed, max_examples=10)
@given(seeds, counts, threads)
def test_threads_change_no_bit_where_each_layer_is_a_call(seed: int, count: int, threads: int) -> None:
    check(random_graph(np.random.default_rng(seed)), seed, count, threads, inferences=1)


@pytest.mark.parametrize("count", [63, 64, 65, 300])
def test_parts_join(count: int) -> None:
    check(conv(size=3, ic=2, oc=3), 0, count, 2)


def test_wide_codes_and_the_readers_of_one_inference() -> None:
    """Memory of 16 bits and of bytes; both give what ``run`` gives, which a machine asks for."""
    narrow = conv(size=5, ic=3, oc=5)
    requant = Requant("tflite_int16", np.array([2**30]), np.array([-9]), 0, INT16.min, INT16.max)
    layer = replace(narrow.layers[0], input_zero_point=0, requant=requant)
    tensors = {name: Tensor(name, tensor.shape, INT16) for name, tensor in narrow.tensors.items()}
    for graph in (narrow, replace(narrow, layers=(layer,), tensors=tensors)):
        check(graph, 1, 5, 2)
        inputs = batch_of(graph, np.random.default_rng(2), 5)
        made = run(graph, arch=load_arch("edge_16x16"), inputs=inputs, check_inputs=1).tensors["y"]
        np.testing.assert_array_equal(made.reshape(5, -1), one_by_one(WholeReader(graph), inputs)["y"].reshape(5, -1))


def test_progress_counts_every_inference_in_order() -> None:
    graph, heard = conv(), list[int]()
    inputs = batch_of(graph, np.random.default_rng(0), 150)
    WholeReader(graph).run_batch(inputs, threads=2, progress=heard.append)
    assert heard == sorted(set(heard))
    assert heard[-1] == 150


@pytest.mark.parametrize(("threads", "done"), [(1, [4, 8]), (2, [2, 4, 6, 8]), (4, [1, 2, 3, 4, 5, 6, 7, 8])])
def test_each_thread_takes_two_parts_however_many_there_were_before(threads: int, done: list[int]) -> None:
    graph, heard = conv(), list[int]()
    inputs = batch_of(graph, np.random.default_rng(0), 8)
    reader = WholeReader(graph)
    for before in (3, threads, 4, threads):
        heard.clear()
        reader.run_batch(inputs, threads=before, progress=heard.append)
    assert heard == done


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"z": np.zeros((2, 1, 8, 8, 4), np.int8)}, r"missing \['x'\] and unknown \['z'\]"),
        ({"x": np.zeros((1, 8, 8, 4), np.int8)}, r"of shape \(1, 1, 8, 8, 4\), got int8 of shape \(1, 8, 8, 4\)"),
        ({"x": np.zeros((2, 1, 8, 8, 4), np.int16)}, "got int16 of shape"),
    ],
)
def test_wrong_batches_are_named(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WholeReader(conv()).run_batch(inputs)
