"""What a network keeps from inference to inference: carried in order, reset, dumped, taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim import run
from accelsim.errors import GraphError, InputError
from accelsim.execute import WholeReader, random_inputs
from accelsim.explore import edited
from accelsim.graph import Graph, Variable
from accelsim.importers import load_graph
from tests.importers.tflite.streams import STREAMS

COUNT = 10
Codes = NDArray[np.int8]


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Graph]:
    path = tmp_path / "window.tflite"
    path.write_bytes(STREAMS["window"]())
    return load_graph(path)


def frames(graph: Graph) -> Codes:
    return random_inputs(graph, count=COUNT, seed=3)["x"]


def expected(x: Codes, initial: Codes) -> Codes:
    """The window of this stream: the two frames before, and this one."""
    every = np.concatenate([initial.reshape(2, 4), x.reshape(-1, 4)])
    return np.stack([every[i : i + 3] for i in range(len(x))])


def test_inferences_run_in_order(stream: Graph) -> None:
    x, (variable,) = frames(stream), stream.variables
    right = expected(x, variable.initial)
    for checked in (0, 1, 4, None):
        done = run(stream, inputs={"x": x}, check_inputs=checked)
        assert done.tensors is not None
        assert done.state is not None
        assert list(done.tensors) == ["all"]
        assert np.array_equal(done.tensors["all"], right)
        assert np.array_equal(done.state["s"][0], right[-1, 1:])


def test_state_is_taken_up_where_it_was_left(stream: Graph) -> None:
    x = frames(stream)
    whole = run(stream, inputs={"x": x}).tensors
    first = run(stream, inputs={"x": x[:4]})
    second = run(stream, inputs={"x": x[4:]}, state=first.state).tensors
    assert whole is not None
    assert second is not None
    assert np.array_equal(second["all"], whole["all"][4:])


@pytest.mark.parametrize("every", [1, 3, COUNT, 100])
@pytest.mark.parametrize("checked", [1, 5, None])
def test_a_reset_begins_anew(stream: Graph, every: int, checked: int | None) -> None:
    x, (variable,) = frames(stream), stream.variables
    given = np.full_like(variable.initial, 7)
    made = run(stream, inputs={"x": x}, reset_every=every, check_inputs=checked, state={"s": given}).tensors
    parts = [expected(x[i : i + every], given if i == 0 else variable.initial) for i in range(0, len(x), every)]
    assert made is not None
    assert np.array_equal(made["all"], np.concatenate(parts))


def test_a_batch_is_its_frames_one_by_one(stream: Graph) -> None:
    x, reader = frames(stream), WholeReader(stream)
    batch, state = reader.run_batch({"x": x}, keep="all", threads=4), {}
    for i in range(COUNT):
        one = reader.run({"x": x[i]} | state, keep="all")
        state = stream.carried(one)
        assert all(np.array_equal(one[name], batch[name][i]) for name in batch)


def test_what_does_not_fit_is_refused(stream: Graph) -> None:
    x = {"x": frames(stream)}
    for state, text in (
        ({"t": x["x"]}, r"no such variables; its variables are \['s'\]"),
        ({"s": np.zeros((1, 2, 4))}, "expected int8 codes of shape"),
        ({"s": np.full((1, 2, 4), 300)}, "0 to 300|300 to"),
        ({"s": np.zeros((2, 4), np.int8)}, r"got int8 of shape \(2, 4\)"),
    ):
        with pytest.raises(InputError, match=text):
            run(stream, inputs=x, state=state)
    with pytest.raises(InputError, match="reset_every: expected a number of inferences"):
        run(stream, inputs=x, reset_every=0)
    plain = replace(
        stream, variables=(), inputs=(*stream.inputs, replace(stream.inputs[0], tensor="old", host_name="old"))
    )
    both = {**x, "old": np.zeros((COUNT, 1, 2, 4), np.int8)}
    with pytest.raises(InputError, match="keeps nothing from inference to inference"):
        run(plain, inputs=both, reset_every=2)


def test_a_variable_has_memory_of_its_own(stream: Graph) -> None:
    (variable,) = stream.variables
    wrong: list[tuple[Variable, str]] = [
        (replace(variable, written="old"), "no memory of its own"),
        (replace(variable, written="all"), "is read as int8"),
        (replace(variable, initial=variable.initial[0]), "begins with"),
    ]
    for changed, text in wrong:
        with pytest.raises(GraphError, match=text):
            replace(stream, variables=(changed,))
    with pytest.raises(GraphError, match="no memory of its own"):
        replace(stream, variables=(variable, replace(variable, name="t")))


def test_networks_of_several_images_and_other_widths_keep_their_variables(stream: Graph) -> None:
    (variable,) = edited(stream, {"batch": "3"}).variables
    assert variable.initial.shape == (3, 2, 4)
    narrow = edited(stream, {"activations.bits": "4"})
    assert {narrow.tensors[name].format.bits for name in (*narrow.entries, *narrow.results)} == {4}
