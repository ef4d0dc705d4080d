"""Damaged and hostile .onnx files: one ModelError of one line each, quickly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from accelsim.errors import ModelError, ModelFileError
from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.importers.onnx.file.reader import read_onnx
from tests.importers.onnx.models import Net
from tests.importers.onnx.networks import cnn

MUTATIONS = 400
SECONDS = 5.0


def load(folder: Path, blob: bytes) -> Graph:
    path = folder / "model.onnx"
    path.write_bytes(blob)
    return load_graph(path, arithmetic="onnxruntime")


def outcome(folder: Path, blob: bytes) -> str:
    """The message of the one error, empty where the file loads; a line for each of several things that cannot be read."""
    try:
        load(folder, blob)
    except ModelError as error:
        return "\n".join(map(one_line, error.exceptions))
    return ""


def one_line(error: Exception) -> str:
    """Its message, marked where it is not one line."""
    return f"SEVERAL LINES: {error}" if "\n" in str(error) else str(error)


def refused(folder: Path, blob: bytes, kind: type[ModelError] = ModelFileError) -> str:
    """The message of the one error."""
    with pytest.raises(ModelError) as caught:
        load(folder, blob)
    message = str(caught.value)
    assert isinstance(caught.value, kind), caught.value
    assert "\n" not in message
    assert message.startswith(f"{folder / 'model.onnx'}: ")
    return message


def valid(*, qdq: bool = False) -> onnx.ModelProto:
    return cnn(2 + qdq, qdq=qdq).model()


@pytest.mark.parametrize("qdq", [False, True], ids=["qoperator", "qdq"])
@pytest.mark.parametrize("kind", ["truncated", "one byte", "many bytes", "cut out"])
def test_mutations(kind: str, qdq: bool, tmp_path: Path) -> None:
    """Each mutated file loads or is refused in one line; none hangs, none leaks another exception."""
    blob = valid(qdq=qdq).SerializeToString()
    rng = np.random.default_rng(11)
    outcomes = []
    for _ in range(MUTATIONS // 8):
        mutated = mutate(blob, kind, rng)
        start = time.perf_counter()
        outcomes.append(outcome(tmp_path, mutated))
        assert time.perf_counter() - start < SECONDS
    assert any(outcomes)
    assert not any("SEVERAL LINES" in message for message in outcomes)


def mutate(blob: bytes, kind: str, rng: np.random.Generator) -> bytes:
    data = bytearray(blob)
    if kind == "truncated":
        return bytes(data[: int(rng.integers(1, len(data)))])
    if kind == "cut out":
        at = int(rng.integers(0, len(data) - 64))
        return bytes(data[:at] + data[at + int(rng.integers(1, 64)) :])
    # The second half holds names, types and shapes; most of the first is the nodes.
    for _ in range(1 if kind == "one byte" else 30):
        data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
    return bytes(data)


@pytest.mark.parametrize("blob", [b"", b"no model at all", b"\x00" * 64, b"TFL3" * 9, b"\xff" * 1000])
def test_files_that_are_no_models(blob: bytes, tmp_path: Path) -> None:
    refused(tmp_path, blob)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.onnx", tmp_path / "folder.onnx"):
        if path.stem == "folder":
            path.mkdir()
        with pytest.raises(ModelFileError, match=r"expected an \.onnx file"):
            load_graph(path, arithmetic="onnxruntime")


def cycle(model: Any) -> None:
    model.graph.node[0].input[0] = model.graph.node[5].output[0]


def unknown_tensor(model: Any) -> None:
    model.graph.node[3].input[0] = "nowhere"


def missing_initializer(model: Any) -> None:
    del model.graph.initializer[4]


def twice(model: Any) -> None:
    model.graph.node[1].output[0] = model.graph.node[0].output[0]


def duplicate_initializer(model: Any) -> None:
    model.graph.initializer[1].name = model.graph.initializer[0].name


def claimed_gigabyte(model: Any) -> None:
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1024, 1024, 1024])


def negative_dimension(model: Any) -> None:
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([-8, -27])


def many_dimensions(model: Any) -> None:
    model.graph.initializer[0].dims.extend([1] * 40)


def value_out_of_range(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.INT8, (1,), [0]))
    tensor.int32_data[0] = 300


def external_missing(model: Any) -> None:
    external(model, "weights.bin")


def external_elsewhere(model: Any) -> None:
    external(model, "../../../etc/hostname")


def external_out_of_range(model: Any) -> None:
    external(model, "model.onnx", offset="9999999", length="8")


def external(model: Any, location: str, **entries: str) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)


def no_nodes(model: Any) -> None:
    del model.graph.node[:]


def no_outputs(model: Any) -> None:
    del model.graph.output[:]


def unknown_output(model: Any) -> None:
    model.graph.output[0].name = "nobody"


def no_opset(model: Any) -> None:
    del model.opset_import[:]


def no_input_shape(model: Any) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def sequence_input(model: Any) -> None:
    model.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = TensorProto.FLOAT


STRUCTURES: dict[Callable[[Any], None], str] = {
    cycle: "its nodes form a cycle",
    unknown_tensor: "reads 'nowhere', which is no input, initializer or output",
    missing_initializer: "which is no input, initializer or output",
    twice: "is produced twice",
    duplicate_initializer: "stands twice",
    claimed_gigabyte: "holds 216 values for shape [1024, 1024, 1024]",
    negative_dimension: "claims shape [-8, -27]",
    many_dimensions: "claims shape",
    value_out_of_range: "holds values that are no INT8",
    external_missing: "no such file beside the model: 'weights.bin'",
    external_elsewhere: "no such file beside the model",
    external_out_of_range: "are not in 'model.onnx'",
    no_nodes: "its graph has no nodes",
    no_outputs: "it has no outputs",
    unknown_output: "graph outputs ['nobody'] are produced by no node",
    no_opset: "it imports the ONNX operator set 0 times",
    no_input_shape: "graph input 'x0' has no tensor shape",
    sequence_input: "graph input 'x0' has no tensor shape",
}


@pytest.mark.parametrize("damage", STRUCTURES, ids=lambda damage: damage.__name__)
def test_broken_structures(damage: Callable[[Any], None], tmp_path: Path) -> None:
    model = valid()
    damage(model)
    message = refused(tmp_path, model.SerializeToString())
    assert STRUCTURES[damage] in message


def test_every_bit_of_the_node_list_may_flip(tmp_path: Path) -> None:
    """All single-bit errors of a small model's first bytes, where operators and names stand."""
    net = Net(np.random.default_rng(0))
    net.conv(net.input((1, 2, 4, 4)), 2, 1, per_channel=False)
    blob = net.model().SerializeToString()
    outcomes = []
    for at in range(min(len(blob), 160)):
        for bit in range(8):
            data = bytearray(blob)
            data[at] ^= 1 << bit
            outcomes.append(outcome(tmp_path, bytes(data)))
    assert len([message for message in outcomes if message]) > 300
    assert not any("\n" in message for message in outcomes)


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    model = valid()
    tensor = model.graph.initializer[0]
    (tmp_path / "weights.bin").write_bytes(b"xyz" + tensor.raw_data)
    external(model, "weights.bin", offset="3", length=str(8 * 27))
    assert len(load(tmp_path, model.SerializeToString()).layers) == len(
        load(tmp_path, valid().SerializeToString()).layers
    )


def test_nodes_in_any_order_are_sorted(tmp_path: Path) -> None:
    model = valid()
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    names = {layer.output for layer in load(tmp_path, model.SerializeToString()).layers}
    assert names == {layer.output for layer in load(tmp_path, valid().SerializeToString()).layers}


def test_values_in_typed_fields_are_read(tmp_path: Path) -> None:
    """Initializers need not be raw bytes."""
    model = valid()
    for i, tensor in enumerate(model.graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        model.graph.initializer[i].CopyFrom(
            helper.make_tensor(tensor.name, tensor.data_type, values.shape, values.reshape(-1))
        )
    plain = load(tmp_path, valid().SerializeToString())
    typed = load(tmp_path, model.SerializeToString())
    for one, other in zip(plain.layers, typed.layers, strict=True):
        assert np.array_equal(getattr(one, "weights", 0), getattr(other, "weights", 0))


FORMS: dict[str, tuple[Any, np.ndarray]] = {
    "value": (onnx.numpy_helper.from_array(np.array([[1, -2]], np.int8)), np.array([[1, -2]], np.int8)),
    "value_float": (0.5, np.array(0.5, np.float32)),
    "value_floats": ([0.5, -3.0], np.array([0.5, -3.0], np.float32)),
    "value_int": (7, np.array(7, np.int64)),
    "value_ints": ([7, -1], np.array([7, -1], np.int64)),
}


def with_constants(*forms: dict[str, Any], names: Sequence[str] = "abcdefg") -> bytes:
    model = valid()
    for name, form in zip(names, forms, strict=False):
        model.graph.node.insert(0, helper.make_node("Constant", [], [name], **form))
    return model.SerializeToString()


def test_constant_nodes_hold_numbers_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(with_constants(*({form: given} for form, (given, _) in FORMS.items())))
    found = read_onnx(path).constants
    for name, (_, expected) in zip("abcdefg", FORMS.values(), strict=False):
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)


def test_a_constant_node_of_text_or_of_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    assert "node 0 Constant holds no numbers" in refused(tmp_path, with_constants({"value_string": "x"}))
    taken = valid().graph.initializer[0].name
    for names in ((taken,), ("a", "a")):
        blob = with_constants({"value_int": 1}, {"value_int": 1}, names=names)
        assert "Constant has outputs" in refused(tmp_path, blob)
