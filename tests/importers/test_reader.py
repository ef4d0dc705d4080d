"""A file becomes records, or one ModelFileError."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import ModelError, ModelFileError
from accelsim.importers import load_graph
from accelsim.importers.tflite.file.reader import read_tflite, unpack_int4
from accelsim.importers.tflite.file.records import TfliteModel
from tests.importers.flat import Op, T, tflite_bytes

X = T("x", (1, 4), scale=0.5, zero=3)
Y = T("y", (1, 4), scale=0.25, zero=-3)
RELU = Op("RELU", ["x"], ["y"])


def read(tmp_path: Path, blob: bytes) -> TfliteModel:
    path = tmp_path / "model.tflite"
    path.write_bytes(blob)
    return read_tflite(path)


def message(tmp_path: Path, blob: bytes, kind: type[Exception] = ModelFileError) -> str:
    with pytest.raises(kind) as caught:
        read(tmp_path, blob)
    text = str(caught.value)
    assert "\n" not in text
    assert "model.tflite" in text
    return text


def test_records_of_a_small_model(tmp_path: Path) -> None:
    w = T("w", (3, 4), scale=[0.1, 0.2, 0.3], zero=[0, 0, 0], axis=0, data=np.arange(12) - 6)
    y = T("y", (1, 3), scale=0.25)
    op = Op("FULLY_CONNECTED", ["x", "w", None], ["y"], {"FusedActivationFunction": 1, "KeepNumDims": True})
    model = read(tmp_path, tflite_bytes([X, w, y], [op], ["x"], ["y"]))
    assert (model.inputs, model.outputs) == ((0,), (2,))
    (operator,) = model.operators
    assert (operator.index, operator.op, operator.inputs, operator.outputs) == (
        0,
        "FULLY_CONNECTED",
        (0, 1, -1),
        (2,),
    )
    assert operator.options["fused_activation"] == 1
    assert operator.options["keep_num_dims"] is True
    x, weights, _ = model.tensors
    assert (x.name, x.shape, x.type, x.is_constant, x.elements) == ("x", (1, 4), "INT8", False, 4)
    assert x.scales.tolist() == [0.5]
    assert x.zero_points.tolist() == [3]
    assert weights.data is not None
    assert weights.data.tolist() == (np.arange(12) - 6).reshape(3, 4).tolist()
    assert weights.scales.tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_options_that_are_absent_have_the_schemas_defaults(tmp_path: Path) -> None:
    blob = tflite_bytes([X, T("b", (1, 4), scale=1.0), Y], [Op("ADD", ["x", "b"], ["y"])], ["x", "b"], ["y"])
    options = read(tmp_path, blob).operators[0].options
    assert dict(options) == {"fused_activation": 0, "pot_scale_int16": True}


def test_names_that_repeat_or_are_empty_get_the_tensors_index(tmp_path: Path) -> None:
    model = read(tmp_path, tflite_bytes([X, Y], [RELU], ["x"], ["y"]).replace(b"\x01\0\0\0x\0", b"\x01\0\0\0y\0"))
    assert [tensor.name for tensor in model.tensors] == ["y#0", "y#1"]
    empty = T("", (1, 4), scale=0.5)
    model = read(tmp_path, tflite_bytes([empty, Y], [Op("RELU", [""], ["y"])], [""], ["y"]))
    assert [tensor.name for tensor in model.tensors] == ["tensor#0", "y"]


def test_a_name_that_looks_like_a_made_one_stays_unique(tmp_path: Path) -> None:
    tensors = [T("", (4,), scale=1.0), T("tensor#0", (4,), scale=1.0)]
    model = read(tmp_path, tflite_bytes(tensors, [Op("RELU", [""], ["tensor#0"])], [""], ["tensor#0"]))
    assert [tensor.name for tensor in model.tensors] == ["tensor#0#0", "tensor#0"]


def test_unprintable_names_are_escaped(tmp_path: Path) -> None:
    blob = tflite_bytes([T("a\nb", (4,), scale=1.0), Y], [Op("RELU", ["a\nb"], ["y"])], ["a\nb"], ["y"])
    assert read(tmp_path, blob).tensors[0].name == "a\\nb"


def test_a_rank_one_bias_forgets_a_quantized_dimension_beyond_it(tmp_path: Path) -> None:
    # person_detect.tflite of TFLite-Micro has such biases; newer loaders refuse them.
    bias = T("b", (2,), "INT32", scale=[1.0, 2.0], zero=[0, 0], axis=3, data=[1, 2])
    w = T("w", (2, 4), scale=[2.0, 4.0], zero=[0, 0], data=np.zeros(8))
    y = T("y", (1, 2), scale=1.0)
    model = read(tmp_path, tflite_bytes([X, w, bias, y], [Op("FULLY_CONNECTED", ["x", "w", "b"], ["y"])], ["x"], ["y"]))
    assert model.tensors[2].quantized_dimension == 0
    assert model.tensors[2].scales.tolist() == [1.0, 2.0]


def test_int4_values_are_unpacked_low_nibble_first() -> None:
    octets = np.array([0x21, 0xF8, 0x07], np.uint8)
    assert unpack_int4(octets, 5).tolist() == [1, 2, -8, -1, 7]


@pytest.mark.parametrize("elements", [0, 1, 2, 7, 8])
def test_int4_has_as_many_values_as_the_shape_says(elements: int) -> None:
    assert len(unpack_int4(np.full(-(-elements // 2), 0x8F, np.uint8), elements)) == elements


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"absent\.tflite.*No such file"):
        read_tflite(tmp_path / "absent.tflite")


def test_a_directory(tmp_path: Path) -> None:
    folder = tmp_path / "folder.tflite"
    folder.mkdir()
    with pytest.raises(ModelFileError, match="it is a directory"):
        load_graph(folder)


def test_an_impossible_path() -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_tflite(Path("nul\0byte.tflite"))


@pytest.mark.parametrize("blob", [b"", b"TFL3", b"\0" * 7, b"\0\0\0\0TFL2" + b"\0" * 40, b"PK\x03\x04" + b"\0" * 60])
def test_what_is_no_tflite_file_at_all(tmp_path: Path, blob: bytes) -> None:
    assert "identifier b'TFL3'" in message(tmp_path, blob)


def test_wrong_schema_version(tmp_path: Path) -> None:
    assert "schema version 2" in message(tmp_path, tflite_bytes([X, Y], [RELU], ["x"], ["y"], version=2))


def test_no_subgraph(tmp_path: Path) -> None:
    assert "no subgraph" in message(tmp_path, tflite_bytes([X, Y], [RELU], ["x"], ["y"], subgraph_count=0))


def test_further_subgraphs_are_ignored_as_no_operator_reaches_them(tmp_path: Path) -> None:
    assert len(read(tmp_path, tflite_bytes([X, Y], [RELU], ["x"], ["y"], subgraph_count=3)).operators) == 1


def test_no_operators(tmp_path: Path) -> None:
    assert "no operators" in message(tmp_path, tflite_bytes([X, Y], [], ["x"], ["y"]))


def test_no_inputs_or_outputs(tmp_path: Path) -> None:
    assert "0 inputs and 1 outputs" in message(tmp_path, tflite_bytes([X, Y], [RELU], [], ["y"]))
    assert "1 inputs and 0 outputs" in message(tmp_path, tflite_bytes([X, Y], [RELU], ["x"], []))


def test_operators_that_read_what_nothing_has_made(tmp_path: Path) -> None:
    z = T("z", (1, 4), scale=1.0)
    late = [Op("RELU", ["z"], ["y"]), Op("RELU", ["x"], ["z"])]
    assert "reads ['z'] before" in message(tmp_path, tflite_bytes([X, Y, z], late, ["x"], ["y"]))
    cycle = [Op("RELU", ["z"], ["y"]), Op("RELU", ["y"], ["z"])]
    assert "reads ['z'] before" in message(tmp_path, tflite_bytes([X, Y, z], cycle, ["x"], ["y"]))


def test_a_tensor_that_is_written_twice_or_is_constant(tmp_path: Path) -> None:
    assert "already written" in message(tmp_path, tflite_bytes([X, Y], [RELU, RELU], ["x"], ["y"]))
    constant = T("y", (1, 4), scale=1.0, data=np.zeros(4))
    assert "writes a constant" in message(tmp_path, tflite_bytes([X, constant], [RELU], ["x"], ["y"]))
    assert "writes a constant, a graph input" in message(
        tmp_path, tflite_bytes([X, Y], [Op("RELU", ["x"], ["x"])], ["x"], ["y"])
    )


def test_tensor_indices_outside_the_list(tmp_path: Path) -> None:
    """-1 stands for an absent input of an operator, and for nothing else."""
    blob = tflite_bytes([X, T("b", (1, 4), scale=1.0), Y], [Op("ADD", ["x", "b"], ["y"])], ["x", "b"], ["y"])

    def naming(index: int, *, operator: bool) -> bytes:
        """The file whose graph, or whose operator, names tensor ``index`` in the place of ``b``."""
        good, bad = (np.array([2, 0, i], np.int32).tobytes() for i in (1, index))
        at = blob.rfind(good) if operator else blob.find(good)
        return blob[:at] + bad + blob[at + len(bad) :]

    for index in (3, -1, -2):
        text = message(tmp_path, naming(index, operator=False))
        assert f"the graph inputs: tensor index {index}, expected 0 to 2" in text
    for index in (3, -2):
        text = message(tmp_path, naming(index, operator=True))
        assert f"operator 0 ADD: tensor index {index}, expected -1 to 2" in text
    assert read(tmp_path, naming(-1, operator=True)).operators[0].inputs == (0, -1)


def test_a_constant_graph_input(tmp_path: Path) -> None:
    constant = T("x", (1, 4), scale=1.0, data=np.zeros(4))
    assert "graph input is a constant" in message(tmp_path, tflite_bytes([constant, Y], [RELU], ["x"], ["y"]))


def test_an_output_that_nothing_makes(tmp_path: Path) -> None:
    z = T("z", (1, 4), scale=1.0)
    assert "made by no operator" in message(tmp_path, tflite_bytes([X, Y, z], [RELU], ["x"], ["z"]))


@pytest.mark.parametrize("shape", [(-1, 4), (2**20, 2**20), (1,) * 9])
def test_shapes_that_cannot_be(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert "has shape" in message(tmp_path, tflite_bytes([T("x", shape, scale=1.0), Y], [RELU], ["x"], ["y"]))


@pytest.mark.parametrize(("shape", "count"), [((5,), 4), ((3,), 4)])
def test_a_buffer_that_does_not_fit_its_shape(tmp_path: Path, shape: tuple[int, ...], count: int) -> None:
    w = T("w", shape, "INT32", scale=1.0, data=np.zeros(count))
    text = message(tmp_path, tflite_bytes([X, w, Y], [Op("ADD", ["x", "w"], ["y"])], ["x"], ["y"]))
    assert f"needs {4 * shape[0]} bytes; its buffer has {4 * count}" in text


def test_more_scales_than_the_axis_has_indices(tmp_path: Path) -> None:
    w = T("w", (2, 4), scale=[1.0, 1.0, 1.0], zero=[0, 0, 0], data=np.zeros(8))
    blob = tflite_bytes([X, w, Y], [Op("FULLY_CONNECTED", ["x", "w", None], ["y"])], ["x"], ["y"])
    assert "3 scales along axis 0" in message(tmp_path, blob)


def test_the_error_carries_the_path(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"")
    with pytest.raises(ModelFileError) as caught:
        read_tflite(path)
    assert caught.value.data["path"] == str(path)
    assert isinstance(caught.value, ModelError)
