"""Operators with a state of their own: what they become, every inference as in four runtimes, what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim import run, verify
from accelsim.errors import UnsupportedOperatorError
from accelsim.execute import WholeReader, random_inputs
from accelsim.graph import Graph, Outcome
from accelsim.importers import load_graph
from accelsim.numerics import INT32
from tests.importers.flat import Op, T, tflite_bytes
from tests.oracles.recurrent_op import CASES
from tests.oracles.runtimes import RUNTIMES, as_file, differences

FRAMES = 24
LITERT = ("litert-reference", "litert-optimized", "litert-xnnpack")
STREAMS = [(name, "INT8", arithmetic) for name in CASES if name.startswith("svdf") for arithmetic in RUNTIMES]
STREAMS += [(name, kind, "tflite-micro") for name in CASES if name.startswith("lstm") for kind in ("INT8", "INT16")]


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "kind", "arithmetic"), STREAMS)
def test_every_frame_and_what_is_kept_is_the_runtimes(name: str, kind: str, arithmetic: str) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        case = CASES[name](rng, kind)
        with as_file(case.blob) as path:
            try:
                load_graph(path, arithmetic=arithmetic)
            except UnsupportedOperatorError:
                pytest.skip("refused by name, as test_tflite_operators has it")
            assert set(differences(path, arithmetic, list(case.feeds(rng, FRAMES))).values()) == {0}


def frames(seed: int = 1, name: str = "svdf") -> tuple[bytes, Any]:
    case = CASES[name](np.random.default_rng(seed), "INT8")
    return case.blob, list(case.feeds(np.random.default_rng(seed), 9))


@pytest.mark.parametrize("name", ["svdf", "lstm", "lstm-one-step"])
def test_the_program_computes_the_same_and_hands_its_state_over(name: str) -> None:
    blob, feeds = frames(name=name)
    x = np.stack([feed["x"] for feed in feeds])
    with as_file(blob) as path:
        whole = run(path, arch="edge_16x16", inputs={"x": x}, check_inputs=None)
        head = run(path, arch="mcu_npu", inputs={"x": x[:4]}, check_inputs=None)
        tail = run(path, arch="mcu_npu", inputs={"x": x[4:]}, state=head.state)
        again = run(path, inputs={"x": x[:8]}, reset_every=4)
    y, first, second, reset = ((done.tensors or {})["y"] for done in (whole, head, tail, again))
    assert np.array_equal(y, np.concatenate([first, second]))
    assert np.array_equal(reset[:4], y[:4])
    assert not np.array_equal(reset[4:], y[4:8])


@pytest.mark.oracle
@pytest.mark.parametrize("oracle", ["tflite-micro", "litert-ref", "litert-xnnpack"])
def test_verify_compares_what_is_kept(oracle: str) -> None:
    blob, feeds = frames()
    with as_file(blob) as path:
        arithmetic = "tflite-micro" if oracle == "tflite-micro" else "litert-reference"
        report = verify(
            path, inputs={"x": np.stack([feed["x"] for feed in feeds])}, oracle=oracle, arithmetic=arithmetic
        )
    assert report.matches
    assert {"y", "y state"} <= {layer.layer for layer in report.layers}


def test_the_weights_are_products_of_the_array_and_the_state_is_kept() -> None:
    with as_file(frames()[0]) as path:
        graph = load_graph(path)
    (operator,) = graph.source
    assert operator.outcome is Outcome.LAYER
    assert operator.layers == ("y newest", "y older", "y state", "y")
    (variable,) = graph.variables
    assert (variable.name, variable.read) == ("state", "state")
    assert not variable.initial.any()
    filters, inputs = graph.layer("y newest").geometry.oc, graph.tensors["x"].shape  # type: ignore[attr-defined]
    assert graph.macs == filters * (inputs[0] * inputs[1]) + graph.tensors["state"].elements


def overflowing() -> bytes:
    """Sums over time that leave 32 bits."""
    rng = np.random.default_rng(0)
    time, feature = rng.integers(-32768, 32768, (4, 6)), rng.integers(-127, 128, (4, 8))
    tensors = [
        T("x", (1, 8), scale=0.5), T("w", (4, 8), scale=0.5, data=feature), T("t", (4, 6), "INT16", scale=2.0**-14, data=time),
        T("b", (2,), "INT32", scale=2.0**-18, data=[5, -7]), T("s", (1, 24), "INT16", scale=2.0**-4, variable=True),
        T("y", (1, 2), scale=64.0),
    ]  # fmt: skip
    return svdf(tensors)


def svdf(tensors: list[T], inputs: tuple[str | None, ...] = ("x", "w", "t", "b", "s"), **options: Any) -> bytes:
    op = Op("SVDF", inputs, ["y"], {"Rank": 2, "FusedActivationFunction": 1} | options)
    return tflite_bytes(tensors, [op], ["x"], ["y"])


@pytest.mark.oracle
@pytest.mark.parametrize("arithmetic", ["tflite-micro", "litert-reference"])
def test_accumulators_of_32_bits_wrap_as_the_runtimes_do(arithmetic: str) -> None:
    with as_file(overflowing()) as path:
        graph, reference = load_graph(path, arithmetic=arithmetic), RUNTIMES[arithmetic](path)
        batches = random_inputs(graph, count=FRAMES, seed=1)
        reader = WholeReader(graph, accumulators={layer.name: INT32 for layer in graph.layers})
        ours = reader.run_batch(batches)["y"]
        theirs = np.stack([reference({"x": x})["y"] for x in batches["x"]])
    assert len(np.unique(theirs)) > FRAMES
    assert np.array_equal(ours, theirs)


@pytest.mark.oracle
@pytest.mark.parametrize("arithmetic", LITERT)
def test_a_file_that_litert_runs(arithmetic: str) -> None:
    """Its bias has a scale that only tflite-micro minds."""
    path = Path(os.environ.get("ACCELSIM_SHARED", "")) / "cases" / "fidelity" / "svdf_state.tflite"
    if not path.is_file():
        pytest.skip("ACCELSIM_SHARED names no folder with cases/fidelity/svdf_state.tflite")
    feeds = [{"x": x} for x in np.random.default_rng(3).integers(-128, 128, (FRAMES, 1, 4)).astype(np.int8)]
    assert differences(path, arithmetic, feeds) == {"y": 0, "state": 0}
    with pytest.raises(UnsupportedOperatorError, match=r"scale of its bias 'b' is 0\.05 away.*an arithmetic of LiteRT"):
        load_graph(path)


SMALL = {
    "x": T("x", (2, 3), scale=0.5),
    "w": T("w", (4, 3), scale=0.5, data=np.ones((4, 3))),
    "t": T("t", (4, 2), "INT16", scale=2.0**-14, data=np.ones((4, 2))),
    "b": T("b", (2,), "INT32", scale=2.0**-18, data=[1, 2]),
    "s": T("s", (2, 8), "INT16", scale=2.0**-4, variable=True),
    "y": T("y", (2, 2), scale=1.0),
}


def changed(**tensors: T) -> bytes:
    return svdf([*(SMALL | tensors).values()])


def load(blob: bytes, arithmetic: str = "tflite-micro") -> Graph:
    with as_file(blob) as path:
        return load_graph(path, arithmetic=arithmetic)


def shared_state() -> bytes:
    ops = [
        Op("SVDF", ["x", "w", "t", "b", "s"], [y], {"Rank": 2, "FusedActivationFunction": 1}) for y in ("y", "z")
    ]  # fmt: skip
    return tflite_bytes([*SMALL.values(), T("z", (2, 2), scale=1.0)], ops, ["x"], ["y", "z"])


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (lambda: changed(s=T("s", (2, 8), "INT16", scale=1.0, data=np.zeros((2, 8)))), "'s' is no variable tensor"),
        (lambda: changed(s=T("s", (2, 7), "INT16", scale=1.0, variable=True)), r"\[2, 7\].*\(batch, filters \* memory\)"),
        (lambda: changed(s=T("s", (2, 8), "INT8", scale=1.0, variable=True)), "weights over time are INT16, its state INT8"),
        (lambda: changed(s=T("s", (2, 8), "INT16", scale=1.0, zero=3, variable=True)), "'s' has a zero point other than 0"),
        (lambda: changed(w=T("w", (4, 3), scale=0.5, zero=1, data=np.ones((4, 3)))), "'w' have a zero point"),
        (lambda: changed(w=T("w", (4, 3), scale=[0.5] * 4, data=np.ones((4, 3)))), "one positive finite scale"),
        (lambda: changed(b=T("b", (3,), "INT32", scale=2.0**-18, data=[1, 2, 3])), "3 entries for 2 units"),
        (lambda: changed(b=T("b", (2,), "INT32", scale=2.0**-9, data=[1, 2])), "tflite-micro requires"),
        (lambda: changed(x=T("x", (2, 3), "FLOAT32")), "'x' is FLOAT32"),
        (lambda: svdf([*SMALL.values()], Rank=3), "its rank is 3 for 4 filters"),
        (lambda: svdf([*SMALL.values()], FusedActivationFunction=4), "activation is TANH; accepted: NONE or RELU"),
        (lambda: svdf([*SMALL.values()], ("x", "w", "t", None, "s")), "it has no bias, which tflite-micro reads"),
        (lambda: svdf([*SMALL.values()], ("x", "w", "t", "b")), "input 4 is absent"),
        (shared_state, r"'s' is that of operators \[0, 1\]"),
    ],
)  # fmt: skip
def test_what_is_refused(blob: Callable[[], bytes], text: str) -> None:
    load(changed())
    with pytest.raises(UnsupportedOperatorError, match=f"SVDF.*{text}"):
        load(blob())


def test_litert_rectifies_by_the_least_code_and_wants_it_said() -> None:
    plain = svdf([*SMALL.values()], FusedActivationFunction=0)
    assert load(plain).layers
    with pytest.raises(
        UnsupportedOperatorError, match="activation is NONE; accepted: RELU, as litert-reference requires"
    ):
        load(plain, "litert-reference")


@pytest.mark.parametrize(
    ("arithmetic", "scheme"), [("tosa", "single"), ("gemmini", "float32_half_even"), ("litert-optimized", "tflite_double")]
)  # fmt: skip
def test_chips_round_it_as_their_dense_layers(arithmetic: str, scheme: str) -> None:
    graph = load(changed(), arithmetic)
    found = {layer.requant.scheme for layer in graph.layers if hasattr(layer, "requant")}
    assert found == {scheme}


def test_thresholds_are_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="state has 16 bits, too many codes for thresholds"):
        load(changed(), "finn")
