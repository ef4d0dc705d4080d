"""Comparisons with golden vectors: what they find, in which forms, and what they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from accelsim.cli import main
from accelsim.errors import AccelsimError, InputError
from accelsim.handoff import compare_vectors, comparison_text
from accelsim.handoff.compare import kinds
from accelsim.handoff.compare.golden import GoldenLayer
from tests.handoff.drawn import drawn, exported, exported_graph
from tests.handoff.test_faults import LAYERS, three_layers
from tests.networks import conv

SMALL = {"weight_buffer.size_bytes": 36, "activation_buffer.size_bytes": 200, "accumulator.count": 40}
"""Buffers in which a layer is several tiles, and a sum several steps."""
Numbers = np.ndarray


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare") / "v"
    exported_graph(three_layers("single"), folder, "npy", **SMALL)
    return folder


def golden(folder: Path, layer: str) -> GoldenLayer:
    manifest = json.loads((folder / "manifest.json").read_text())
    return GoldenLayer(folder, next(entry for entry in manifest["layers"] if entry["name"] == layer))


def given(folder: Path, layer: str, **streams: Numbers) -> Path:
    """``streams`` of one layer as somebody's output."""
    theirs = folder.parent / "theirs"
    shutil.rmtree(theirs, ignore_errors=True)
    return added(theirs, folder, layer, **streams)


def added(theirs: Path, folder: Path, layer: str, **streams: Numbers) -> Path:
    place = theirs / golden(folder, layer).entry["folder"]
    place.mkdir(parents=True, exist_ok=True)
    for name, values in streams.items():
        np.save(place / f"{name}.npy", values)
    return theirs


def test_the_vectors_themselves_are_golden(vectors: Path) -> None:
    found = compare_vectors(vectors, vectors)
    assert found.matches
    assert len(found.streams) > 30
    assert "streams are golden" in comparison_text(found)


def test_a_fault_in_one_layer_is_not_blamed_on_the_next(vectors: Path) -> None:
    """The device runs the whole network: what layers behind make of wrong codes follows from them."""
    first, second, third = (golden(vectors, name) for name in LAYERS)
    codes = first.codes(first.stream("accumulators") - first.stream("bias"))
    theirs = given(vectors, "first", output=codes)
    for layer in (second, third):
        sums = layer.fitted(
            layer.stream("bias") + layer.products(layer.image(codes), layer.stream("weights"), layer.zero)
        )
        codes = layer.codes(sums)
        added(theirs, vectors, layer.entry["name"], output=codes)
    found = compare_vectors(vectors, theirs)
    assert [(s.layer, s.reasons[0].kind) for s in found.streams] == [
        ("first", kinds.BIAS), ("second", kinds.UPSTREAM), ("third", kinds.UPSTREAM)
    ]  # fmt: skip
    assert all(s.reasons[0].explained == s.differing for s in found.streams)
    assert found.first is not None
    assert found.first.layer == "first"


def test_sums_that_lose_a_step(vectors: Path) -> None:
    """Each step of a sum begins at 0 instead of what the step before left."""
    layer = golden(vectors, "second")
    operations = json.loads((vectors / layer.entry["operations"]).read_text())["operations"]
    sums, before, after = (layer.stream(name).copy() for name in ("accumulators", "tile_before", "tile_after"))
    steps = [one for one in operations if one["engine"] == "compute" and len(one["reads"]) == 3]
    assert steps
    for one in steps:
        first, count = one["data"]["tile_after"]
        box = tuple(slice(a, b) for a, b in zip(*one["box"], strict=True))
        sums[box] = (after[first : first + count] - before[first : first + count]).reshape(sums[box].shape)
    for streams in ({"accumulators": sums}, {"output": layer.codes(sums)}):
        (found,) = compare_vectors(vectors, given(vectors, "second", **streams)).streams
        assert found.reasons[0].kind == kinds.LOST_STEP, found.reasons
        assert found.reasons[0].explained == found.differing


def test_a_tile_that_was_written_late(vectors: Path) -> None:
    layer = golden(vectors, "third")
    operations = json.loads((vectors / layer.entry["operations"]).read_text())["operations"]
    done = [one for one in operations if one["engine"] == "requantize"]
    boxes = [tuple(slice(a, b) for a, b in zip(*one["box"], strict=True)) for one in done]
    codes = layer.stream("output").copy()
    at = next(i for i in range(1, len(boxes)) if codes[boxes[i]].shape == codes[boxes[i - 1]].shape)
    codes[boxes[at]] = codes[boxes[at - 1]]
    (found,) = compare_vectors(vectors, given(vectors, "third", output=codes)).streams
    assert found.reasons[0].kind == kinds.LATE
    assert found.first is not None
    assert found.first.operation == done[at]["operation"]


@pytest.mark.parametrize("stream", ["tile_after", "tile_output", "tile_weights", "tile_bytes"])
def test_a_number_of_a_tile_stream_names_its_operation(vectors: Path, stream: str) -> None:
    layer = golden(vectors, "second")
    operations = json.loads((vectors / layer.entry["operations"]).read_text())["operations"]
    mine = [one for one in operations if stream in one.get("data", {})]
    one = mine[len(mine) // 2]
    values = layer.stream(stream).copy()
    values[one["data"][stream][0] + 1] ^= 1
    (found,) = compare_vectors(vectors, given(vectors, "second", **{stream: values})).streams
    assert found.differing == 1
    assert found.first is not None
    assert (found.first.operation, found.first.index) == (one["operation"], (one["data"][stream][0] + 1,))


def swapped(values: Numbers) -> Numbers:
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2)).reshape(values.shape)


MOVED: dict[str, tuple[Callable[[Numbers], Numbers], str]] = {
    "channels first": (swapped, kinds.PACKING),
    "one place late": (lambda v: np.concatenate([[0], v.reshape(-1)[:-1]]).reshape(v.shape), kinds.LATE),
    "one place early": (lambda v: np.concatenate([v.reshape(-1)[1:], [0]]).reshape(v.shape), kinds.ADDRESS),
    "half of it never written": (
        lambda v: np.where(np.arange(v.size).reshape(v.shape) < v.size // 2, v, 0),
        kinds.NEVER,
    ),
    "unsigned": (lambda v: v & 255, kinds.SIGN),
    "words reversed": (lambda v: v.reshape(-1, 4)[:, ::-1].reshape(v.shape), kinds.ENDIANNESS),
    "bit 5 stuck": (lambda v: v | 32, kinds.STUCK),
}


@pytest.mark.parametrize("name", MOVED)
def test_numbers_that_stand_elsewhere(vectors: Path, name: str) -> None:
    change, kind = MOVED[name]
    layer = golden(vectors, "second")
    (found,) = compare_vectors(vectors, given(vectors, "second", output=change(layer.stream("output")))).streams
    assert found.reasons[0].kind == kind, found.reasons
    assert found.reasons[0].explained >= 0.95 * found.differing


def test_accumulators_that_do_not_saturate(tmp_path: Path) -> None:
    exported_graph(conv(), tmp_path / "v", "npy", **{"accumulator.bits": 14, "accumulator.overflow": "saturate"})
    layer = golden(tmp_path / "v", "layer")
    whole = layer.stream("bias") + layer.plain
    wrapped = (whole + 2**13) % 2**14 - 2**13
    assert (wrapped != layer.stream("accumulators")).any()
    for streams in ({"accumulators": wrapped}, {"output": layer.codes(wrapped)}):
        (found,) = compare_vectors(tmp_path / "v", given(tmp_path / "v", "layer", **streams)).streams
        assert found.reasons[0].kind == kinds.SATURATION, found.reasons


def test_noise_has_no_reason(vectors: Path) -> None:
    """Random codes are nothing that a known fault makes, beyond chance."""
    layer = golden(vectors, "second")
    noise = np.random.default_rng(0).integers(-100, 100, layer.stream("output").shape)
    (found,) = compare_vectors(vectors, given(vectors, "second", output=noise)).streams
    assert sum(reason.explained for reason in found.reasons) < 0.2 * found.differing


def test_two_faults_are_told_one_after_the_other(vectors: Path) -> None:
    layer = golden(vectors, "second")
    codes = layer.codes(layer.stream("accumulators") - layer.stream("bias"))
    codes[:, 5] = 0
    (found,) = compare_vectors(vectors, given(vectors, "second", output=codes)).streams
    assert [reason.kind for reason in found.reasons[:2]] == [kinds.BIAS, kinds.NEVER]


@pytest.mark.parametrize("form", ["hex", "c", "npy"])
def test_golden_vectors_of_one_form_are_enough(form: Any, tmp_path: Path) -> None:
    exported_graph(conv(), tmp_path / "v", form)
    assert compare_vectors(
        tmp_path / "v", given(tmp_path / "v", "layer", output=golden(tmp_path / "v", "layer").stream("output"))
    ).matches


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("output.hex", lambda v: "\n".join(f"{x & 0xFF:02x}" for x in v)),
        ("output.mem", lambda v: "// a memory\n@0\n" + " ".join(f"{x & 0xFFFFFFFF:08X}" for x in v)),
        ("output.txt", lambda v: "".join(f"@{i:x} {x & 0xFF:x}\n" for i, x in reversed(list(enumerate(v))))),
    ],
)
def test_hexadecimal_text_as_simulators_write_it(
    vectors: Path, tmp_path: Path, name: str, text: Callable[[list[int]], str]
) -> None:
    layer = golden(vectors, "second")
    place = tmp_path / layer.entry["folder"]
    place.mkdir()
    (place / name).write_text(text(layer.stream("output").reshape(-1).tolist()))
    assert compare_vectors(vectors, tmp_path).matches
    assert compare_vectors(vectors, place / name).matches
    lone = shutil.copy(place / name, tmp_path / f"mine{Path(name).suffix}")
    assert compare_vectors(vectors, lone, layer="second").matches
    with pytest.raises(InputError, match="its name says no layer; give --layer"):
        compare_vectors(vectors, lone)


def refused(vectors: Path, theirs: Path, **options: str) -> str:
    with pytest.raises(AccelsimError) as caught:
        compare_vectors(vectors, theirs, **options)
    return str(caught.value)


def test_what_cannot_be_compared(vectors: Path, tmp_path: Path) -> None:
    output = golden(vectors, "second").stream("output")
    few = given(vectors, "second", output=output.reshape(-1)[:-1])
    assert "143 numbers, but output of layer 'second' has 144" in refused(vectors, few)
    assert "expected integers, got float64" in refused(vectors, given(vectors, "second", output=output * 1.0))
    assert "holds no stream of the vectors" in refused(vectors, tmp_path)
    assert "no such file or directory" in refused(vectors, tmp_path / "none")
    assert "did you mean 'second'?" in refused(vectors, few, layer="secnd")
    assert "did you mean 'output'?" in refused(vectors, few, stream="outptu")
    assert "has no manifest.json; expected what accelsim export vectors wrote" in refused(tmp_path, few)
    (tmp_path / "second.hex").write_text("xx\n" * 144)
    assert "word 0 is 'xx', no number of 64 bits" in refused(vectors, tmp_path / "second.hex")


def test_the_command(vectors: Path, tmp_path: Path) -> None:
    layer = golden(vectors, "second")
    exact = layer.exact
    assert exact is not None
    codes = np.clip(
        np.floor(layer.stream("accumulators") * np.array([float(m) for m in exact.multipliers])) + 5, -100, 120
    )
    theirs = given(vectors, "second", output=codes.astype(np.int8))
    done = CliRunner().invoke(main, ["compare-vectors", str(vectors), str(theirs), "--json", str(tmp_path / "c.json")])
    assert done.exit_code == 1, done.output
    assert "layer 'second', output:" in done.output
    assert "likely: truncates (toward minus infinity) instead of rounding half up: explains" in done.output
    data = json.loads((tmp_path / "c.json").read_text())
    (stream,) = data["streams"]
    assert not data["matches"]
    assert stream["reasons"][0]["explained"] == stream["differing"]
    assert CliRunner().invoke(main, ["compare-vectors", str(vectors), str(vectors)]).exit_code == 0
    assert CliRunner().invoke(main, ["compare-vectors", str(tmp_path), str(theirs)]).exit_code == 2


def test_every_guess_takes_layers_of_every_kind(tmp_path: Path) -> None:
    """Whatever the layers are, and with tile streams or without, a comparison ends."""
    for number, (_, program, inputs) in enumerate(islice(drawn(range(3, 9)), 6)):
        folder, theirs = tmp_path / f"v{number}", tmp_path / f"o{number}"
        exported(program, inputs, folder, "npy", tiles=number % 2 == 0)
        for path in sorted(folder.glob("*/output.npy")):
            codes = np.load(path)
            (theirs / path.parent.name).mkdir(parents=True)
            np.save(theirs / path.parent.name / path.name, np.roll(codes.reshape(-1), 1).reshape(codes.shape))
        assert compare_vectors(folder, theirs).streams
