"""Operators that move codes: which sizes, axes and steps they take, and where those end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import ModelError
from accelsim.importers import load_graph
from tests.importers.onnx.models import Net
from tests.importers.onnx.runtime import differences, save

Case = tuple[str, tuple[int, ...], list[list[int]], dict[str, Any], Any]
REFUSED: list[Case] = [
    ("Flatten", (2, 3), [], {"axis": 3}, "its axis is 3 for 2 axes; accepted: an axis of its input"),
    ("Flatten", (2, 3), [], {"axis": -3}, "its axis is -3 for 2 axes"),
    ("Reshape", (2, 3), [[-1, -1]], {}, "its shape is (-1, -1); accepted: sizes with at most one -1, and none of 0"),
    ("Reshape", (2, 3), [[-2, 3]], {}, "its shape is (-2, 3); accepted: sizes with at most one -1"),
    ("Reshape", (2, 3), [[0, 3]], {"allowzero": 1}, "its shape is (0, 3); accepted: sizes with at most one -1, and none of 0"),
    ("Reshape", (6,), [[6, 0]], {}, "its shape is (6, 0); accepted: zeros that copy"),
    ("Reshape", (6,), [[1, 1, 1, 1, 1, 1, 1, 1, 6]], {}, "accepted: sizes with at most one -1"),
    ("Reshape", (6,), [[4, -1]], {}, "it turns shape [6] into [4, 1]; accepted: as many elements"),
    ("Squeeze", (2, 1), [[0]], {}, "its axes are (0,) of [2, 1]; accepted: axes of size 1"),
    ("Squeeze", (2, 1), [[2]], {}, "its axes are (2,) for 2 axes; accepted: each axis once"),
    ("Unsqueeze", (2,), [[0, 0]], {}, "its axes are (0, 0) for 3 axes; accepted: each axis once"),
    ("Unsqueeze", (2,), [[-3]], {}, "its axes are (-3,) for 2 axes"),
    ("Transpose", (2, 3), [], {"perm": [0, 0]}, "its perm is (0, 0); accepted: each axis once"),
    ("Pad", (2, 3), [[0, 1, 0]], {}, "its pads are (0, 1, 0); accepted: one pair of 0 or more per axis"),
    ("Pad", (2, 3), [[0, -1, 0, 0]], {}, "its pads are (0, -1, 0, 0)"),
    ("Pad", (2, 3), [[0, 2**31, 0, 0]], {}, "accepted: one pair of 0 or more per axis"),
    ("Pad", (2, 3), [[0, 2**30 - 3, 0, 0]], {}, "its output has shape [2, 1073741824]; accepted: fewer than 2^31 elements"),
    ("Pad", (2, 3), [[0, 1, 0, 0]], {"mode": "reflect"}, "its mode is 'reflect'; accepted: constant"),
    ("Slice", (2, 3), [[0], [1], [0], [0]], {}, "steps (0,) do not match; accepted: one start, end and step other than 0 per axis"),
    ("Slice", (2, 3), [[0, 0], [1, 1], [0, -2]], {}, "axes (0, -2) and steps (1, 1) do not match"),
    ("Slice", (2, 3), [[0], [1], [2]], {}, "axes (2,) and steps (1,) do not match"),
    ("Slice", (2, 3), [[0], [1, 2], [0]], {}, "its starts (0,), ends (1, 2), axes (0,)"),
]  # fmt: skip
ACCEPTED: list[Case] = [
    ("Flatten", (2, 3), [], {"axis": 2}, lambda x: x.reshape(6, 1)),
    ("Flatten", (2, 3), [], {"axis": -2}, lambda x: x.reshape(1, 6)),
    ("Flatten", (2, 3), [], {"axis": 0}, lambda x: x.reshape(1, 6)),
    ("Flatten", (2, 3), [], {"axis": -1}, lambda x: x),
    ("Reshape", (2, 3), [[0, -1, 1]], {}, lambda x: x.reshape(2, 3, 1)),
    ("Reshape", (6,), [[1, 1, 1, 1, 1, 1, 2, 3]], {"allowzero": 1}, lambda x: x.reshape(1, 1, 1, 1, 1, 1, 2, 3)),
    ("Squeeze", (1, 2, 1), [[-1]], {}, lambda x: x[:, :, 0]),
    ("Squeeze", (1, 2, 1), [], {}, lambda x: x.reshape(2)),
    ("Unsqueeze", (2, 3), [[-1, 0]], {}, lambda x: x[None, :, :, None]),
    ("Transpose", (2, 3, 4), [], {}, lambda x: x.transpose(2, 1, 0)),
    ("Slice", (5, 3), [[-1, 1], [-9, 9], [0, 1], [-2, 1]], {}, lambda x: x[::-2, 1:]),
    ("Slice", (5, 3), [[4], [0], [-2], [-3]], {}, lambda x: x[4:0:-3]),
    ("Slice", (5, 3), [[-9], [2]], {}, lambda x: x[:2]),
]


def name_of(case: Case) -> str:
    return f"{case[0]}-{case[2]}-{case[3]}"


def moving(case: Case, out: tuple[int, ...]) -> Net:
    op, shape, extra, attributes, _ = case
    net = Net(np.random.default_rng(5), kind="int8", qdq=True)
    names = [net.const(values, np.int64) for values in extra]
    net.move(op, net.input(shape), out, names, **attributes)
    return net


@pytest.mark.parametrize("case", REFUSED, ids=name_of)
def test_other_sizes_axes_and_steps_are_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_graph(save(moving(case, case[1]).model(), tmp_path), arithmetic="onnxruntime")
    assert case[4] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", ACCEPTED, ids=name_of)
def test_the_last_that_are_taken_move_codes_as_the_runtime_does(case: Case, tmp_path: Path) -> None:
    expected = case[4](np.zeros(case[1]))
    net = moving(case, expected.shape)
    wrong, compared = differences(net.model(), net.random_feeds(), tmp_path)
    assert (wrong, compared) == ({}, expected.size)
