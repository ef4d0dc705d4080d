"""What stands for calibration data: arrays by the names of the inputs, one inference or many, finite and real."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.ptq.evaluate import gather

MANY = np.arange(24.0).reshape(3, 1, 4, 2)


def network(**shapes: tuple[int, ...]) -> Any:
    return SimpleNamespace(inputs=[SimpleNamespace(name=name, shape=shape) for name, shape in shapes.items()])


X = network(x=(1, 4, 2))
XY = network(x=(1, 4, 2), y=(3,))


@pytest.mark.parametrize("name", ["x", "input"])
def test_the_only_input_goes_by_its_name_or_by_input(name: str) -> None:
    found = gather(X, {name: MANY})
    assert [*found] == ["x"]
    assert found["x"].dtype == np.float32
    assert np.array_equal(found["x"], MANY)


def test_an_input_that_is_called_input_is_itself() -> None:
    assert [*gather(network(input=(1, 4, 2)), {"input": MANY})] == ["input"]


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (X, {"input": MANY, "x": MANY}),
        (X, {"y": MANY}),
        (X, {}),
        (XY, {"input": MANY}),
        (XY, {"input": MANY, "y": np.ones((3, 3))}),
        (XY, {"x": MANY}),
    ],
)
def test_other_names_are_refused(model: Any, given: dict[str, Any]) -> None:
    expected = [value.name for value in model.inputs]
    with pytest.raises(InputError) as caught:
        gather(model, given)
    assert f"the network's inputs are {expected}, got {sorted(given)}" in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "values", "made"),
    [
        ((1, 4, 2), (1, 4, 2), (1, 1, 4, 2)),
        ((1, 4, 2), (3, 4, 2), (3, 1, 4, 2)),
        ((1, 4, 2), (3, 1, 4, 2), (3, 1, 4, 2)),
        ((4, 2), (4, 2), (1, 4, 2)),
        ((4, 2), (5, 4, 2), (5, 4, 2)),
    ],
)
def test_inferences_stand_along_a_new_axis(
    shape: tuple[int, ...], values: tuple[int, ...], made: tuple[int, ...]
) -> None:
    codes = np.arange(float(np.prod(values))).reshape(values)
    found = gather(network(x=shape), {"x": codes})["x"]
    assert found.shape == made
    assert found.ravel().tolist() == codes.ravel().tolist()


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        ((1, 4, 2), (4, 2)),
        ((1, 4, 2), (3, 4, 3)),
        ((4, 2), (3, 2)),
        ((2, 4), (3, 4)),
        ((1, 4, 2), (0, 1, 4, 2)),
        ((1, 4), (3, 4, 1)),
    ],
)
def test_other_shapes_are_refused(shape: tuple[int, ...], values: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="or N inferences of it"):
        gather(network(x=shape), {"x": np.ones(values)})


def test_integers_and_what_is_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="input 'x' is int64; expected real numbers"):
        gather(X, {"x": MANY.astype(np.int64)})
    for value in (np.nan, np.inf, -np.inf):
        wrong = MANY.copy()
        wrong[1, 0, 2, 1] = value
        with pytest.raises(InputError, match=rf"holds {value} at index \(1, 0, 2, 1\)"):
            gather(X, {"x": wrong})


def test_all_inputs_have_as_many_inferences() -> None:
    assert {name: len(batch) for name, batch in gather(XY, {"x": MANY, "y": np.ones((3, 3))}).items()} == {
        "x": 3,
        "y": 3,
    }
    with pytest.raises(InputError, match=r"different numbers of inferences: \{'x': 3, 'y': 2\}"):
        gather(XY, {"x": MANY, "y": np.ones((2, 3))})
