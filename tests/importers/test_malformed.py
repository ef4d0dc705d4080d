"""Damaged files: whatever the damage, a ModelError on one line or a Graph, quickly, and nothing else."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.errors import ModelError, ModelFileError
from accelsim.importers import load_graph
from accelsim.importers.context import BaseContext
from accelsim.resources import resource_path
from tests.importers.flat import Op, T, tflite_bytes
from tests.oracles.cases import CASES

SLOWEST_SECONDS = 5.0


def outcome(path: Path, blob: bytes) -> str:
    """``graph`` or the error's name; fails on any other exception, on a line break, on slowness."""
    path.write_bytes(blob)
    begin, result, text = time.perf_counter(), "graph", ""
    try:
        load_graph(path)
    except ModelError as error:
        result, text = type(error).__name__, str(error)
    assert "\n" not in text
    assert time.perf_counter() - begin < SLOWEST_SECONDS
    return result


@pytest.fixture(scope="module")
def digits() -> bytes:
    return (resource_path("workloads") / "digits_cnn" / "digits_cnn_int8.tflite").read_bytes()


def test_every_truncation_of_a_small_model_is_refused(tmp_path: Path) -> None:
    blob = CASES["conv"](np.random.default_rng(1), "INT8").blob
    path = tmp_path / "model.tflite"
    assert outcome(path, blob) == "graph"
    assert {outcome(path, blob[:size]) for size in range(len(blob))} <= {"ModelFileError", "graph", "ModelError"}
    assert {outcome(path, blob[:size]) for size in range(0, len(blob) // 2, 7)} == {"ModelFileError"}


def test_truncations_of_a_real_model(tmp_path: Path, digits: bytes) -> None:
    sizes = random.Random(1).sample(range(len(digits)), 60)
    assert {outcome(tmp_path / "model.tflite", digits[:size]) for size in sizes} == {"ModelFileError"}


@pytest.mark.parametrize("name", sorted(CASES))
def test_flipped_bits_of_every_operator(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    path, outcomes = tmp_path / "model.tflite", set()
    for kind in ("INT8", "INT16"):
        blob = CASES[name](np.random.default_rng(3), kind).blob
        for _ in range(25):
            damaged = bytearray(blob)
            for _ in range(rng.choice([1, 2, 8])):
                damaged[rng.randrange(len(blob))] ^= 1 << rng.randrange(8)
            outcomes.add(outcome(path, bytes(damaged)))
    assert outcomes & {"ModelFileError", "ModelError", "UnsupportedOperatorError"}  # not all damage is accepted


def test_extreme_words_in_a_real_model(tmp_path: Path, digits: bytes) -> None:
    rng, outcomes = random.Random(2), Counter()
    words = [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00\x00\x00\x00"]
    for _ in range(150):
        damaged = bytearray(digits)
        at = rng.choice([rng.randrange(2000), len(digits) - 4 - rng.randrange(4000)])
        damaged[at : at + 4] = rng.choice(words)
        outcomes[outcome(tmp_path / "model.tflite", bytes(damaged))] += 1
    assert outcomes.total() - outcomes["graph"] > 20
    assert outcomes["ModelFileError"] > 10


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=400))
def test_noise_behind_the_identifier(tmp_path: Path, noise: bytes) -> None:
    assert outcome(tmp_path / "model.tflite", b"\x10\0\0\0TFL3" + noise) == "ModelFileError"


def test_vectors_that_claim_more_than_the_file_holds(tmp_path: Path) -> None:
    x, y = T("x", (1, 4), scale=1.0), T("y", (1, 4), scale=1.0)
    blob = tflite_bytes([x, y], [Op("RELU", ["x"], ["y"])], ["x"], ["y"])
    marker = np.array([1, 0], np.int32).tobytes()
    damaged = blob.replace(marker, np.array([2**30, 0], np.int32).tobytes())
    assert damaged != blob
    assert outcome(tmp_path / "model.tflite", damaged) == "ModelFileError"


def test_the_cause_stays_attached(tmp_path: Path, digits: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\xf0\xff\xff\x7f" + digits[4:])
    with pytest.raises(ModelFileError, match=r"malformed \.tflite file") as caught:
        load_graph(path)
    assert caught.value.__cause__ is not None


def test_whatever_an_operator_provokes_names_its_place_and_a_remedy() -> None:
    context = BaseContext()
    context.record = SimpleNamespace(index=3, op="Conv")
    text = r"a.onnx: node 3 Conv \(output 'y'\): its inputs or attributes .*\(no len\(\)\); check the operator against"
    with pytest.raises(ModelFileError, match=text), context.naming("a.onnx: node", ["y"]):
        raise TypeError("no len()")


def test_the_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    x, y = T("x", (1, 4), scale=1.0), T("longer", (1, 4), scale=1.0)
    path = tmp_path / "model.tflite"
    path.write_bytes(
        tflite_bytes([x, y], [Op("RELU", ["x"], ["longer"])], ["x"], ["longer"]).replace(b"longer", b"longe\xff")
    )
    with pytest.raises(
        ModelFileError, match=r"malformed \.tflite file: the name of a tensor holds what .*'utf-8'.*; convert"
    ):
        load_graph(path)
