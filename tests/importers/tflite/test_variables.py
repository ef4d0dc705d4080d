"""Resource variables: what an inference assigns is what the next one reads, as in four runtimes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from accelsim import run
from accelsim.errors import ModelError, ModelFileError, UnsupportedOperatorError
from accelsim.execute import WholeReader, random_inputs
from accelsim.graph import Outcome
from accelsim.importers import load_graph
from accelsim.importers.tflite.variables import VARIABLES
from tests.importers.flat import Op, T, tflite_bytes
from tests.importers.tflite.streams import ONCE, STREAMS, assign, begins, codes, handle, read, resource, window
from tests.oracles.runtimes import RUNTIMES, as_file
from tests.tally import tally

FRAMES = 12


@pytest.mark.parametrize("arithmetic", RUNTIMES)
@pytest.mark.parametrize("name", STREAMS)
def test_every_frame_is_that_of_the_runtime(name: str, arithmetic: str) -> None:
    with as_file(STREAMS[name]()) as path:
        graph, reference = load_graph(path, arithmetic=arithmetic), RUNTIMES[arithmetic](path)
        batches = random_inputs(graph, count=FRAMES, seed=1)
        made = WholeReader(graph).run_batch(batches, keep="all")
        for i in range(FRAMES):
            theirs = reference({port.host_name: batches[port.tensor][i] for port in graph.inputs})
            compared = [tensor for tensor in theirs if tensor in made]
            assert {port.tensor for port in graph.outputs} <= set(compared)
            for tensor in compared:
                tally(graph, tensor, made[tensor][i], theirs[tensor], file=".tflite")
                assert np.array_equal(made[tensor][i], theirs[tensor]), (tensor, i)


@pytest.mark.parametrize("name", STREAMS)
def test_the_program_computes_the_same(name: str) -> None:
    """Every inference through tiles and buffers; run refuses to go on where one code differs."""
    with as_file(STREAMS[name]()) as path:
        inputs = random_inputs(load_graph(path), count=FRAMES, seed=2)
        for arch in ("edge_16x16", "mcu_npu"):
            assert run(path, arch=arch, inputs=inputs, check_inputs=None).result.values is not None


def test_every_operator_has_an_outcome() -> None:
    drawn = set()
    for build in STREAMS.values():
        with as_file(build()) as path:
            graph = load_graph(path)
            drawn |= {operator.operator for operator in graph.source}
            for operator in graph.source:
                assert (operator.outcome is Outcome.STATE) <= (operator.operator in VARIABLES)
                assert (operator.outcome is Outcome.LAYER) == bool(operator.layers)
    assert set(VARIABLES) <= drawn


def test_what_nothing_carries_is_no_variable() -> None:
    """One that is never assigned is a constant, one that is never read carries nothing."""
    with as_file(STREAMS["constant"]()) as path:
        graph = load_graph(path)
        assert not graph.variables
        assert np.array_equal(graph.constants["a"], begins_with("p", path))


def begins_with(name: str, path: Path) -> np.ndarray:
    from accelsim.importers.tflite.file import read_tflite

    (once,) = read_tflite(path).once.values()
    (found,) = (t.data for t in once.tensors if t.name == f"{name}_first")
    assert found is not None
    return found


def test_a_variable_that_nothing_begins_holds_the_zero_point_in_tflite_micro_and_is_refused_for_litert() -> None:
    with as_file(window(initialized=False)) as path:
        (variable,) = load_graph(path).variables
        assert (variable.initial == 3).all()
        reference = RUNTIMES["tflite-micro"](path)
        frame = np.ones((1, 1, 4), np.int8)
        assert np.array_equal(reference({"x": frame})["old"], variable.initial)
        with pytest.raises(UnsupportedOperatorError, match="'s' is read before anything is assigned to it"):
            load_graph(path, arithmetic="litert-reference")
        litert = RUNTIMES["litert-reference"](path)
        with pytest.raises(RuntimeError):
            litert({"x": frame})


def model(operators: list[Op], more: list[T], **options: object) -> bytes:
    tensors = [codes("x"), *resource("h"), codes("a"), *more]
    return tflite_bytes(tensors, operators, ["x"], ["a"], **options)  # type: ignore[arg-type]


PLAIN = [ONCE, handle("h", "s"), read("h", "a"), assign("h", "x")]
HELD = np.zeros((1, 1, 4), np.int8)


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (lambda: model(PLAIN, []), "CALL_ONCE names subgraph 1, expected 1 to 0"),
        (lambda: model([Op("CALL_ONCE", [], []), *PLAIN[1:]], []), "CALL_ONCE names subgraph 0"),
        (lambda: model(PLAIN, [], once=begins(s=np.zeros((1, 2, 4), np.int8))), "shape"),
        (lambda: model(PLAIN, [], once=begins(s=HELD.astype(np.int16))), "INT16"),
        (
            lambda: model(
                [*PLAIN[:3], assign("h", "w")], [codes("w", (1, 2, 4), np.zeros((1, 2, 4)))], once=begins(s=HELD)
            ),
            "one type and shape throughout",
        ),
        (
            lambda: model(
                PLAIN,
                [],
                once=(
                    [*resource("g"), codes("c", data=HELD), codes("d")],
                    [handle("g", "s"), Op("ABS", ["c"], ["d"]), assign("g", "d")],
                ),
            ),
            r"operator 1 ABS .*VAR_HANDLE, ASSIGN_VARIABLE",
        ),
        (lambda: model([ONCE, read("x", "a")], [], once=begins(s=HELD)), "'x' names no variable"),
    ],
)
def test_what_no_runtime_runs_is_refused_by_name(blob: object, text: str) -> None:
    with as_file(blob()) as path, pytest.raises((ModelError, ModelFileError), match=text) as raised:  # type: ignore[operator]
        load_graph(path)
    assert re.search(r"model\.tflite", str(raised.value))


@pytest.mark.parametrize(
    ("op", "text"),
    [
        ("ADD", r"0 ADD .*its input 's' is a variable tensor; .*VAR_HANDLE"),
        ("ADD_N", r"0 ADD_N .*the operator is not supported"),
    ],
)
def test_state_of_an_operators_own_is_refused_by_name(op: str, text: str) -> None:
    """No file with a variable tensor is malformed: runtimes begin it with zeros."""
    tensors = [codes("x"), T("s", (1, 4), scale=0.5, variable=True), codes("y")]
    blob = tflite_bytes(tensors, [Op(op, ["x", "s"], ["y"], {})], ["x"], ["y"])
    with as_file(blob) as path, pytest.raises(UnsupportedOperatorError, match=text):
        load_graph(path)
