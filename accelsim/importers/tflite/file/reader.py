"""A .tflite file becomes plain records, or one ModelFileError says what is wrong with it.

The flatbuffers library for Python verifies nothing: offsets, lengths and indices of a damaged file are taken as they
come. Lengths are therefore checked against a budget before anything is looped over, and every exception that garbage can
cause is turned into :class:`ModelFileError` at one place, :class:`~accelsim.importers.files.FileKind`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ModelError, ModelFileError
from accelsim.importers.files import FileKind
from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.file.options import read_options
from accelsim.importers.tflite.file.records import Option, TfliteModel, TfliteOperator, TfliteTensor

MAX_ELEMENTS = 2**31 - 1
"""TFLite counts the elements of a tensor in 32 bits."""
MAX_RANK = 8
"""More dimensions than any TFLite kernel takes."""
IDENTIFIER = b"TFL3"
WITH_INTERMEDIATES = ("UNIDIRECTIONAL_SEQUENCE_LSTM",)
_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "FLOAT32": np.dtype("<f4"),
        "FLOAT16": np.dtype("<f2"),
        "INT32": np.dtype("<i4"),
        "UINT8": np.dtype("u1"),
        "INT64": np.dtype("<i8"),
        "BOOL": np.dtype("u1"),
        "INT16": np.dtype("<i2"),
        "INT8": np.dtype("i1"),
    }
)


TFLITE = FileKind(suffix=".tflite", name="a .tflite file", sizes="below 2 GiB", remedy="convert or download it again")


def read_tflite(path: Path) -> TfliteModel:
    """The records of the file at ``path``; ModelFileError when it is missing, damaged, or not a .tflite file."""
    blob = TFLITE.read(path)
    if len(blob) < 8 or blob[4:8] != IDENTIFIER:
        got = "it is empty" if not blob else f"bytes 4 to 7 are {blob[4:8]!r}"
        raise ModelFileError(
            f"{path}: not a .tflite file: expected the identifier {IDENTIFIER!r}, but {got}; check the download",
            path=str(path),
        )
    with TFLITE.guard(path):
        reader = _Reader(path, blob)
    with TFLITE.guard(path, lambda: reader.place):
        return reader.model()


class _Reader:
    """One pass over one file; ``budget`` bounds the vector entries read: overlapping vectors cannot cost time.

    ``place`` is the record that is being read, for messages.
    """

    def __init__(self, path: Path, blob: bytes) -> None:
        from tflite.Model import Model

        self.path, self.blob, self.budget = path, blob, len(blob) + 2**16
        self.place = "its header"
        self.root: Any = Model.GetRootAs(blob, 0)

    def fail(self, reason: str) -> ModelFileError:
        return ModelFileError(
            f"{self.path}: malformed .tflite file: {reason}; convert or download it again", path=str(self.path)
        )

    def count(self, length: int, what: str, *, entry_bytes: int = 4) -> range:
        """The range of a vector's indices, once it is known to fit the file and the budget."""
        self.budget -= length
        if length < 0 or length * entry_bytes > len(self.blob) or self.budget < 0:
            raise self.fail(f"{what} claims {length} entries, more than the file can hold")
        return range(length)

    def indices(self, length: int, values: Any, what: str) -> tuple[int, ...]:
        """A vector of int32 as a tuple; ``values`` is 0 where the vector is absent."""
        self.count(length, what)
        return tuple(int(v) for v in values) if length else ()

    def model(self) -> TfliteModel:
        """The main subgraph, and those that it calls once."""
        if self.root.Version() != 3:
            raise self.fail(f"schema version {self.root.Version()}, expected 3")
        subgraphs = len(self.count(self.root.SubgraphsLength(), "the subgraph list"))
        if not subgraphs:
            raise self.fail("it has no subgraph")
        names = self._operator_names()
        main = self._subgraph(self.root.Subgraphs(0), names)
        if not main.inputs or not main.outputs:
            raise self.fail(
                f"the subgraph has {len(main.inputs)} inputs and {len(main.outputs)} outputs, expected at least one of each"
            )
        self._check_order(main)
        return replace(main, once=MappingProxyType(self._called_once(main, names, subgraphs)))

    def _called_once(self, main: TfliteModel, names: Sequence[str], subgraphs: int) -> dict[int, TfliteModel]:
        calls = (each.options for each in main.operators if each.op == "CALL_ONCE" and each.unread is None)
        made: dict[int, TfliteModel] = {}
        for number in (options["init_subgraph_index"] for options in calls):
            if not (isinstance(number, int) and 0 < number < subgraphs):
                raise self.fail(f"CALL_ONCE names subgraph {number}, expected 1 to {subgraphs - 1}")
            made[number] = self._subgraph(self.root.Subgraphs(number), names)
            self._check_order(made[number])
        return made

    def _subgraph(self, subgraph: Any, names: Sequence[str]) -> TfliteModel:
        tensors = self._tensors(subgraph)
        operators = tuple(
            self._operator(i, subgraph.Operators(i), names)
            for i in self.count(subgraph.OperatorsLength(), "the operator list")
        )
        if not operators:
            raise self.fail("the subgraph has no operators")
        inputs = self.indices(subgraph.InputsLength(), subgraph.InputsAsNumpy(), "the list of graph inputs")
        outputs = self.indices(subgraph.OutputsLength(), subgraph.OutputsAsNumpy(), "the list of graph outputs")
        return TfliteModel(path=str(self.path), tensors=tensors, operators=operators, inputs=inputs, outputs=outputs)

    def _operator_names(self) -> tuple[str, ...]:
        """Operator names by code index; the wider of the two code fields counts (schema.fbs, OperatorCode)."""
        from tflite.utils import BUILTIN_OPCODE2NAME

        names = []
        for i in self.count(self.root.OperatorCodesLength(), "the operator code list"):
            code = self.root.OperatorCodes(i)
            number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
            name = BUILTIN_OPCODE2NAME.get(number, f"BUILTIN_{number}")
            names.append(f"CUSTOM {self.text(code.CustomCode())}".strip() if name == "CUSTOM" else name)
        return tuple(names)

    def text(self, raw: bytes | None) -> str:
        """A name, fit to print."""
        self.count(len(raw or b""), "a name", entry_bytes=1)
        text = (raw or b"").decode("utf-8")
        return text if text.isprintable() else ascii(text)[1:-1]

    def _tensors(self, subgraph: Any) -> tuple[TfliteTensor, ...]:
        count = self.count(subgraph.TensorsLength(), "the tensor list")
        buffers = len(self.count(self.root.BuffersLength(), "the buffer list"))
        raw = [subgraph.Tensors(i) for i in count]
        self.place = "the name of a tensor"
        names = _unique([self.text(tensor.Name()) for tensor in raw])
        return tuple(self._tensor(i, tensor, names[i], buffers) for i, tensor in enumerate(raw))

    def _tensor(self, index: int, raw: Any, name: str, buffers: int) -> TfliteTensor:
        self.place = f"tensor {index} {name!r}"
        shape = self.indices(raw.ShapeLength(), raw.ShapeAsNumpy(), f"the shape of tensor {name!r}")
        if len(shape) > MAX_RANK or any(d < 0 for d in shape) or math.prod(shape) > MAX_ELEMENTS:
            raise self.fail(
                f"tensor {name!r} has shape {list(shape[:9])}, expected at most {MAX_RANK} dimensions, none negative, "
                f"and at most {MAX_ELEMENTS} elements"
            )
        if raw.Sparsity() is not None:
            raise ModelError(
                f"{self.path}: tensor {name!r} is stored sparse, which is not accepted; convert without sparsity"
            )
        kind = _type_name(raw.Type())
        scales, zeros, axis = self._quantization(raw.Quantization(), name, shape)
        return TfliteTensor(
            index=index,
            name=name,
            shape=shape,
            type=kind,
            scales=scales,
            zero_points=zeros,
            quantized_dimension=axis,
            data=self._data(raw, name, kind, shape, buffers),
            open_axes=self._open_axes(raw, name, shape),
            is_variable=bool(raw.IsVariable()),
        )

    def _open_axes(self, raw: Any, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Axes of size -1 in the tensor's ``shape_signature``."""
        signature = self.indices(raw.ShapeSignatureLength(), raw.ShapeSignatureAsNumpy(), f"the signature of {name!r}")
        if signature and len(signature) != len(shape):
            raise self.fail(f"tensor {name!r} has shape {list(shape)} but signature {list(signature[:9])}")
        return tuple(axis for axis, size in enumerate(signature) if size < 0)

    def _quantization(
        self, raw: Any, name: str, shape: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        if raw is not None and raw.DetailsType():
            raise ModelError(
                f"{self.path}: tensor {name!r} is quantized in blocks or in a way of its own, which is not accepted; "
                "convert with one scale per tensor or per channel"
            )
        if raw is None or not raw.ScaleLength():
            return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        lengths = [
            len(self.count(raw.ScaleLength(), f"the scales of tensor {name!r}")),
            len(self.count(raw.ZeroPointLength(), f"the zero points of tensor {name!r}", entry_bytes=8)),
        ]
        scales = np.array(raw.ScaleAsNumpy(), dtype=np.float32)
        zeros = np.array(raw.ZeroPointAsNumpy(), dtype=np.int64) if lengths[1] else np.zeros(lengths[0], np.int64)
        # Old converters gave rank-1 biases the weights' axis; person_detect.tflite of TFLite-Micro is one such file.
        axis = 0 if len(shape) <= 1 else raw.QuantizedDimension()
        if len(zeros) == 1:
            zeros = np.repeat(zeros, lengths[0])
        if len(zeros) != lengths[0]:
            raise self.fail(f"tensor {name!r} has {lengths[0]} scales but {lengths[1]} zero points")
        if lengths[0] > 1 and not (0 <= axis < len(shape) and shape[axis] == lengths[0]):
            raise self.fail(f"tensor {name!r} of shape {list(shape)} has {lengths[0]} scales along axis {axis}")
        return scales, zeros, axis

    def _data(self, raw: Any, name: str, kind: str, shape: tuple[int, ...], buffers: int) -> NDArray[Any] | None:
        number = raw.Buffer()
        if number >= buffers:
            raise self.fail(f"tensor {name!r} names buffer {number}, but there are {buffers}")
        buffer = self.root.Buffers(number)
        if buffer.Offset() > 1:
            raise ModelError(
                f"{self.path}: tensor {name!r} keeps its data outside the flatbuffer, which is not accepted; "
                "convert the model to less than 2 GB"
            )
        if not buffer.DataLength():
            return np.zeros(shape, _DTYPES.get(kind, np.dtype("u1"))) if math.prod(shape) == 0 else None
        return self._typed(np.asarray(buffer.DataAsNumpy(), dtype=np.uint8), name, kind, shape)

    def _typed(self, octets: NDArray[np.uint8], name: str, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
        elements = math.prod(shape)
        dtype = _DTYPES.get(kind)
        if dtype is None and kind != "INT4":
            return octets
        needed = -(-elements // 2) if dtype is None else elements * dtype.itemsize
        if len(octets) != needed:
            raise self.fail(
                f"tensor {name!r}, {kind} of shape {list(shape)}, needs {needed} bytes; its buffer has {len(octets)}"
            )
        if dtype is None:
            return unpack_int4(octets, elements).reshape(shape)
        return octets.view(dtype).reshape(shape)

    def _operator(self, index: int, raw: Any, names: Sequence[str]) -> TfliteOperator:
        self.place = f"operator {index}"
        code = raw.OpcodeIndex()
        if not 0 <= code < len(names):
            raise self.fail(f"operator {index} has code {code}, but there are {len(names)} codes")
        what = f"of operator {index} {names[code]}"
        options, unread = self._options(raw, names[code])
        return TfliteOperator(
            index=index,
            op=names[code],
            options=MappingProxyType(options),
            inputs=self.indices(raw.InputsLength(), raw.InputsAsNumpy(), f"the input list {what}"),
            outputs=self.indices(raw.OutputsLength(), raw.OutputsAsNumpy(), f"the output list {what}"),
            unread=unread,
        )

    def _options(self, raw: Any, name: str) -> tuple[dict[str, Option], tuple[str, str] | None]:
        """The operator's options by field name, and why it cannot be read."""
        try:
            options = read_options(raw, name, self)
            _check_record(raw, name)
        except RefusalError as refusal:
            return {}, (refusal.reason, refusal.accepted)
        return options, None

    def _check_order(self, model: TfliteModel) -> None:
        known = {tensor.index for tensor in model.tensors if tensor.is_constant or tensor.is_variable}
        produced = set(self._checked(model.inputs, model, "the graph inputs", least=0))
        if produced & known or len(produced) != len(model.inputs):
            raise self.fail("a graph input is a constant or stands twice")
        for operator in model.operators:
            what = f"operator {operator.index} {operator.op}"
            inputs = self._checked(operator.inputs, model, what, least=-1)
            outputs = self._checked(operator.outputs, model, what, least=0)
            late = [model.tensors[i].name for i in inputs if i >= 0 and i not in known and i not in produced]
            if late:
                raise self.fail(f"{what} reads {late} before any operator makes it")
            if any(i in known or i in produced for i in outputs) or len(set(outputs)) != len(outputs):
                raise self.fail(f"{what} writes a constant, a graph input, or a tensor that was already written")
            produced |= set(outputs)
        missing = [i for i in self._checked(model.outputs, model, "the graph outputs", least=0) if i not in produced]
        if missing:
            raise self.fail(f"graph outputs {missing} are made by no operator")

    def _checked(self, indices: tuple[int, ...], model: TfliteModel, what: str, *, least: int) -> tuple[int, ...]:
        wrong = [i for i in indices if not least <= i < len(model.tensors)]
        if wrong:
            raise self.fail(f"{what}: tensor index {wrong[0]}, expected {least} to {len(model.tensors) - 1}")
        return indices


def _check_record(raw: Any, op: str) -> None:
    """What an operator's record may say besides code, inputs, outputs and options belongs to operators that are not accepted.

    Intermediate tensors of an LSTM give scales that only kernels of LiteRT read.
    """
    if raw.BuiltinOptions2Type():
        raise RefusalError("it has options of the schema's second list", "builtin options")
    if raw.IntermediatesLength() and op not in WITH_INTERMEDIATES:
        raise RefusalError("it has intermediate tensors", "none")
    if raw.MutatingVariableInputsLength() and np.any(raw.MutatingVariableInputsAsNumpy()):
        raise RefusalError("it writes to its inputs", "inputs that stay")


def unpack_int4(octets: NDArray[np.uint8], elements: int) -> NDArray[np.int8]:
    """``elements`` sign-extended 4-bit values, two to an octet, low nibble first (TFLite's INT4), as int8."""
    values = np.empty(2 * len(octets), dtype=np.int8)
    values[0::2] = (octets << 4).view(np.int8) >> 4
    values[1::2] = octets.view(np.int8) >> 4
    return values[:elements]


def _type_name(number: int) -> str:
    from tflite.TensorType import TensorType

    return next(
        (name for name, value in vars(TensorType).items() if value == number and name.isupper()), f"TYPE_{number}"
    )


def _unique(names: Sequence[str]) -> list[str]:
    """Names as they are where they stand once; ``name#index`` where they repeat or are empty."""
    seen = Counter(names)
    taken = {name for name in names if seen[name] == 1}
    result = []
    for index, name in enumerate(names):
        unique = name
        if not name or seen[name] > 1:
            unique = f"{name or 'tensor'}#{index}"
            while unique in taken:
                unique += f"#{index}"
            taken.add(unique)
        result.append(unique)
    return result
