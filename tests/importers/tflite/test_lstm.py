"""UNIDIRECTIONAL_SEQUENCE_LSTM: what it becomes, what is refused. Its codes: test_recurrent.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from accelsim import verify
from accelsim.errors import UnsupportedOperatorError
from accelsim.graph import Dense, Graph, InterpolatedLut
from accelsim.importers import load_graph
from accelsim.numerics import INT64
from tests.importers.flat import Op, T, tflite_bytes
from tests.importers.tflite.test_options import changed
from tests.oracles.recurrent_op import CASES, GATES
from tests.oracles.runtimes import as_file, differences

STEPS, BATCH, INPUTS, UNITS = 3, 2, 5, 4


def tensors(**others: T) -> dict[str, T]:
    """Of an LSTM of int8, by name; ``others`` take the place of some, or come on top."""
    made = [
        T("x", (BATCH, STEPS, INPUTS), scale=0.5, zero=3),
        T("y", (BATCH, STEPS, UNITS), scale=2.0**-7, zero=5),
        T("h", (BATCH, UNITS), scale=2.0**-7, zero=5, variable=True),
        T("c", (BATCH, UNITS), "INT16", scale=2.0**-11, variable=True),
        *(T(f"x_{gate}", (UNITS, INPUTS), scale=0.01, data=np.ones((UNITS, INPUTS))) for gate in GATES),
        *(T(f"h_{gate}", (UNITS, UNITS), scale=0.01, data=np.ones((UNITS, UNITS))) for gate in GATES),
        *(T(f"b_{gate}", (UNITS,), "INT32", scale=0.005, data=np.ones(UNITS)) for gate in GATES),
    ]
    return {each.name: each for each in made} | others


def names() -> list[str | None]:
    weights = [f"{part}_{gate}" for part in ("x", "h") for gate in GATES]
    return ["x", *weights, None, None, None, *(f"b_{gate}" for gate in GATES), None, None, "h", "c", *[None] * 4]


def lstm(order: dict[int, str | None] | None = None, options: dict[str, Any] | None = None, **others: T) -> bytes:
    """The model; inputs by their place as ``order`` has them."""
    inputs = [(order or {}).get(i, name) for i, name in enumerate(names())]
    given = {"FusedActivationFunction": 4} | (options or {})
    op = Op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, ["y"], given)
    return tflite_bytes([*tensors(**others).values()], [op], ["x"], ["y"])


def load(blob: bytes, arithmetic: str = "tflite-micro") -> Graph:
    with as_file(blob) as path:
        return load_graph(path, arithmetic=arithmetic)


def test_all_gates_are_one_product_of_the_sequence_and_one_of_each_step() -> None:
    graph = load(lstm())
    dense = [layer for layer in graph.layers if isinstance(layer, Dense)]
    assert [layer.name for layer in dense] == ["y inputs", *(f"y step {i} recurrent" for i in range(STEPS))]
    assert graph.macs == 4 * UNITS * BATCH * STEPS * (INPUTS + UNITS)
    assert all(layer.requant is not None and layer.requant.channel_count == 4 * UNITS for layer in dense)
    assert len({id(layer.weights) for layer in dense[1:]}) == 1
    kept = {each.name: (each.read, each.initial) for each in graph.variables}
    assert (kept["h"][1] == 5).all(), "the runtimes begin 8-bit states with their zero point"
    assert not kept["c"][1].any()


@pytest.mark.parametrize(("exponent", "multiplier", "shift"), [(-11, 6, 0), (-12, 3, 0), (-15, 3, 3), (-9, 24, 0)])
def test_the_cell_meets_the_step_of_the_table(exponent: int, multiplier: int, shift: int) -> None:
    graph = load(lstm(c=T("c", (BATCH, UNITS), "INT16", scale=2.0**exponent, variable=True)))
    level = graph.layer("y step 0 level")
    assert isinstance(level, InterpolatedLut)
    assert (level.multiplier, level.left_shift) == (multiplier, shift)


def test_16_bit_codes_are_summed_in_64_bits() -> None:
    with as_file(CASES["lstm"](np.random.default_rng(1), "INT16").blob) as path:
        graph = load_graph(path)
    assert {layer.accumulator for layer in graph.layers if isinstance(layer, Dense)} == {INT64}


@pytest.mark.oracle
def test_intermediate_tensors_are_of_litert_alone() -> None:
    """Converters write five for every LSTM, without elements."""
    plain, place = lstm(none=T("none", (0,), "INT16", scale=0.1)), len(tensors())
    feeds = [
        {"x": x} for x in np.random.default_rng(4).integers(-128, 128, (9, *(BATCH, STEPS, INPUTS))).astype(np.int8)
    ]
    with as_file(changed(plain, lambda operator: setattr(operator, "intermediates", [place] * 5))) as path:
        assert set(differences(path, "tflite-micro", feeds).values()) == {0}


@pytest.mark.oracle
def test_verify_compares_the_output_and_both_states() -> None:
    case = CASES["lstm"](np.random.default_rng(2), "INT8")
    with as_file(case.blob) as path:
        x = np.stack([feed["x"] for feed in case.feeds(np.random.default_rng(2), 5)])
        report = verify(path, inputs={"x": x}, oracle="tflite-micro")
        last = x.shape[2] - 1
    assert report.matches
    assert {"y", f"y step {last} cell", f"y step {last} hidden"} <= {layer.layer for layer in report.layers}


EXTRA = T("extra", (UNITS,), "INT16", scale=1.0, data=np.ones(UNITS))


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (lambda: lstm({9: "extra"}, extra=EXTRA), r"weights from the cell to its gates \(peephole\)"),
        (lambda: lstm({16: "extra"}, extra=EXTRA), "it has a projection"),
        (lambda: lstm({20: "extra"}, extra=EXTRA), "it has layer normalization"),
        (lambda: lstm({1: None}), "input 1 is absent"),
        (lambda: lstm(options={"FusedActivationFunction": 1}), "its fused activation is RELU; accepted: TANH"),
        (lambda: lstm(options={"ProjClip": 0.5}), "proj_clip is 0.5"),
        (lambda: lstm(options={"CellClip": -1.0}), "cell_clip is -1"),
        (lambda: lstm(options={"DiagonalRecurrentTensors": True}), "diagonal_recurrent_tensors"),
        (lambda: lstm(options={"TimeMajor": True}), "states have shapes"),
        (lambda: lstm(c=T("c", (BATCH, UNITS), "INT16", scale=0.0003, variable=True)), "a power of two"),
        (lambda: lstm(c=T("c", (BATCH, UNITS), scale=2.0**-5, variable=True)), "'c' is INT8; accepted: INT16"),
        (lambda: lstm(h=T("h", (BATCH, UNITS), scale=2.0**-6, zero=5, variable=True)), "equal scale and zero point"),
        (lambda: lstm(x_cell=T("x_cell", (UNITS, 2), scale=0.1, data=np.ones((UNITS, 2)))), r"'x_cell' have shape \[4, 2\]"),
        (lambda: lstm(b_cell=T("b_cell", (2,), "INT32", data=[1, 2])), "a bias has 2 entries; accepted: 4"),
        (
            lambda: lstm(x=T("x", (1, 300, 5), scale=0.5), y=T("y", (1, 300, 4), scale=2.0**-7),
                         h=T("h", (1, 4), scale=2.0**-7, variable=True), c=T("c", (1, 4), "INT16", scale=2.0**-9, variable=True)),
            "it has 300 steps; accepted: at most 256",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(blob: Callable[[], bytes], text: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=f"UNIDIRECTIONAL_SEQUENCE_LSTM.*{text}"):
        load(blob())


@pytest.mark.parametrize("arithmetic", ["litert-reference", "litert-optimized", "litert-xnnpack"])
def test_litert_is_refused_with_what_to_do(arithmetic: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match="are not modelled for it; accepted: arithmetic tflite-micro"):
        load(lstm(), arithmetic)
