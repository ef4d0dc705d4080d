"""A runtime whose kernels end their process: ours goes on and says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.errors import AccelsimError
from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.verification import verify
from accelsim.verification.oracles.apart import apart
from accelsim.verification.oracles.base import Codes
from tests.importers.flat import Op, T, tflite_bytes
from tests.soak.networks import Outcome, survived
from tests.verification.networks import digits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")


class Touchy:
    """An oracle that gives its own process's number, refuses 1 and aborts at 2."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Codes:
        code = int(inputs["x"])
        if code == 1:
            raise AccelsimError("no ones", oracle="touchy", reason="a one")
        if code == 2:
            os.abort()
        return {"pid": np.array(os.getpid())}


def test_an_oracle_apart_answers_refuses_and_ends_alone() -> None:
    graph = load_graph(digits())
    answers = []
    for wrong, message in ((1, "no ones"), (2, "'touchy' does not survive .*SIGABRT")):
        oracle = apart("touchy", graph, lambda: Touchy(graph))
        assert oracle.graph is graph
        answers.append(int(oracle.run({"x": np.array(0)})["pid"]))
        with pytest.raises(AccelsimError, match=message) as error:
            oracle.run({"x": np.array(wrong)})
        assert error.value.data["oracle"] == "touchy"
    assert len({*answers, os.getpid()}) == 3


def test_a_refusal_at_the_start_is_raised_at_the_start() -> None:
    def start() -> Touchy:
        raise AccelsimError("not this model")

    with pytest.raises(AccelsimError, match="not this model"):
        apart("touchy", load_graph(digits()), start)


def _flat_softmax(folder: Path) -> Path:
    """A row of 1,008 equal codes, whose exponentials sum to more than 9 bits: LiteRT's reference kernel checks a shift, and aborts."""
    shape, path = (1, 1008), folder / "flat.tflite"
    tensors = [T("x", shape, "INT8", 1 / 256, -128), T("y", shape, "INT8", 1 / 256, -128)]
    path.write_bytes(tflite_bytes(tensors, [Op("SOFTMAX", ["x"], ["y"], {"Beta": 1.0})], ["x"], ["y"]))
    return path


def test_verify_survives_a_kernel_that_aborts(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    path, flat = _flat_softmax(tmp_path), np.full((1, 1, 1008), -128, np.int8)
    with pytest.raises(
        AccelsimError, match="litert-ref' does not survive the model or an input: it ended with SIGABRT"
    ):
        verify(path, inputs=flat, oracle="litert-ref", arithmetic="litert-reference")
    report = verify(path, inputs=flat, oracle="fake-quant", arithmetic="litert-reference")
    assert any("no other program read the file" in note and "SIGABRT" in note for note in report.notes)
    assert verify(path, inputs=flat, oracle="litert-optimized", arithmetic="litert-optimized").matches


def test_a_soak_goes_on_behind_a_runtime_that_aborts() -> None:
    def task(seed: int, without: Any) -> Iterator[Outcome]:
        for runtime in (name for name in ("a", "b", "c") if name not in without):
            yield Outcome(seed, runtime, "begun")
            if (seed, runtime) in ((3, "b"), (3, "c"), (5, "a")):
                os.abort()
            yield Outcome(seed, runtime, "exact", codes=os.getpid())

    told = survived(range(2, 6), task)
    assert [(outcome.seed, outcome.runtime) for outcome in told] == [(s, r) for s in range(2, 6) for r in "abc"]
    assert [(o.seed, o.runtime, o.detail) for o in told if o.what == "aborted"] == [
        (3, "b", "SIGABRT"), (3, "c", "SIGABRT"), (5, "a", "SIGABRT"),
    ]  # fmt: skip
    assert len({outcome.codes for outcome in told} - {0}) == 3


def test_a_task_that_fails_of_itself_is_an_error() -> None:
    def task(seed: int, without: Any) -> Iterator[Outcome]:
        yield Outcome(seed, "a", "begun")
        yield Outcome(seed, "a", "exact")
        raise ValueError(seed)

    with pytest.raises(RuntimeError, match="between two networks"):
        survived(range(2), task)
