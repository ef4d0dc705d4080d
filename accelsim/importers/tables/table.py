"""A layer table in CSV becomes a shape-only Graph: every row is one layer that can be timed, not executed."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from accelsim.errors import GraphError, ModelError, ModelFileError, Refusals
from accelsim.graph import (
    Add,
    AveragePool2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Graph,
    HostPort,
    Layer,
    Lut,
    MacGeometry,
    MatMul,
    MaxPool2D,
    Mean,
    Mul,
    Softmax,
    Tensor,
    same_window,
    window_extent,
)
from accelsim.importers.files import name_of
from accelsim.importers.tables.wiring import Made, Wiring
from accelsim.numerics import IntFormat

COLUMNS = (
    "name", "op", "n", "h", "w", "c", "kh", "kw", "oc", "stride", "dilation", "padding", "groups", "weight_bits",
    "activation_bits", "inputs",
)  # fmt: skip
OWN = ("name", "inputs")
"""What tells rows apart that are layers alike."""
REQUIRED = ("name", "op", "h", "w", "c")
DEFAULTS = MappingProxyType(
    {"n": 1, "kh": 1, "kw": 1, "stride": 1, "dilation": 1, "groups": 1, "weight_bits": 8, "activation_bits": 8}
)
"""What an empty cell means; ``oc`` is the input's ``c``, ``padding`` is valid."""
NO_ARITHMETIC = "none"
"""A shape-only graph holds no numbers, so no arithmetic either."""
MAX_SIZE = 2**31 - 1
Shape = tuple[int, ...]


class Form(NamedTuple):
    """What rows of equal cells have in common, whatever their names: views of inputs and output, the tensors' format, other fields."""

    kind: type[Layer]
    inputs: tuple[Shape, ...]
    output: Shape
    format: IntFormat
    fields: Mapping[str, Any]

    def named(self, name: str) -> Made:
        """A layer with tensors of its own: ``name.in`` (or ``.left`` and ``.right``) and ``name.out``."""
        suffixes = (".in",) if len(self.inputs) == 1 else (".left", ".right")
        names, output = tuple([name + suffix for suffix in suffixes]), f"{name}.out"
        tensors = [Tensor(tensor, shape, self.format) for tensor, shape in zip(names, self.inputs, strict=True)]
        layer = self.kind(name=name, inputs=names, output=output, **self.fields)
        return layer, (*tensors, Tensor(output, self.output, self.format))


@dataclass(frozen=True)
class Row:
    """One line of the table; ``where`` is file:line, ``defaults`` what empty cells mean."""

    where: str
    cells: Mapping[str, str]
    defaults: Mapping[str, int]

    def fail(self, column: str, expected: str) -> ModelError:
        got = self.cells.get(column, "")
        return ModelError(f"{self.where}: column {column!r}: expected {expected}, got {got!r}", column=column)

    def integer(self, column: str, *, least: int = 1, most: int = MAX_SIZE, default: int | None = None) -> int:
        """The cell as an integer of ``least`` to ``most``; an empty one is ``default``."""
        text = self.cells.get(column, "")
        fallback = self.defaults.get(column, default)
        if not text and fallback is not None:
            return fallback
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 12 and least <= int(text) <= most):
            raise self.fail(column, f"an integer of {least} to {most}")
        return int(text)

    @property
    def name(self) -> str:
        """The layer's name."""
        if not self.cells["name"]:
            raise self.fail("name", "a layer name")
        return self.cells["name"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, h, w, c) of the input."""
        return self.integer("n"), self.integer("h"), self.integer("w"), self.integer("c")

    def window(self, size: int, kernel: int) -> tuple[int, int]:
        """Output size and padding in front of one axis."""
        stride, dilation = self.integer("stride"), self.integer("dilation")
        padding = self.cells.get("padding", "").lower() or "valid"
        if padding == "same":
            out, total = same_window(size, kernel, stride, dilation)
            return out, total // 2
        if padding != "valid" and not padding.isdecimal():
            raise self.fail("padding", "'same', 'valid' or a number of cells on every side")
        before = 0 if padding == "valid" else self.integer("padding", least=0)
        extent = window_extent(kernel, dilation)
        out = (size + 2 * before - extent) // stride + 1
        if out < 1:
            raise ModelError(
                f"{self.where}: a kernel of extent {extent} does not fit {size} cells with padding {before}"
            )
        return out, before


def load_table(path: Path) -> Graph:
    """The shape-only Graph of a layer table; ModelFileError or ModelError with file:line and column, of every row that is refused."""
    records = read_records(path, ",".join(COLUMNS))
    where, header = next(records)
    header = [cell.lower() for cell in header]
    _check_header(where, header)
    wiring, forms = Wiring(), dict[tuple[str, ...], Form]()
    common = [i for i, column in enumerate(header) if column not in OWN]

    def make(place: str, record: list[str]) -> Made:
        """Rows that differ in name and inputs alone are understood once."""
        row = _row(place, header, record)
        key = tuple([record[i] for i in common])
        form = forms.get(key)
        if form is None:
            form = forms[key] = _form(row)
        return wiring.add(place, row.cells.get("inputs", "").split(), form.named(row.name))

    name = header.index("name")
    return graph_of_rows(path, records, make, lambda record: wiring.refused(record[name] if name < len(record) else ""))


def read_records(path: Path, expected: str) -> Iterator[tuple[str, list[str]]]:
    """(file:line, cells) of every line; blank lines and those that begin with ``#`` are left out.

    Raises ModelFileError for a file that cannot be read or holds no line; ``expected`` says what its header should be.
    """
    lines = _lines(path)
    numbers = [i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")]
    if not numbers:
        raise ModelFileError(f"{path}: no header line; expected the columns {expected}")
    if len(numbers) == 1:
        raise ModelFileError(f"{path}: the table has a header but no layers")
    records = csv.reader((lines[i] for i in numbers), strict=True)
    try:
        for count, record in enumerate(records, 1):
            if records.line_num != count:
                raise ModelFileError(f"{path}: a quoted cell runs over the end of its line; expected one row per line")
            yield f"{path}:{numbers[count - 1] + 1}", [cell.strip() for cell in record]
    except csv.Error as error:
        raise ModelFileError(f"{path}: not a CSV file: {error}") from error


def graph_of_rows(
    path: Path,
    records: Iterable[tuple[str, list[str]]],
    make: Callable[[str, list[str]], Made],
    refused: Callable[[list[str]], None] = lambda _: None,
) -> Graph:
    """The Graph of (file:line, cells), each of which ``make`` turns into a layer and its tensors.

    ModelError of every row that is refused, where two layers have one name too; ``refused`` is told its cells.
    """
    refusals, made, places = Refusals(path), list[Made](), dict[str, str]()
    for where, record in records:
        known = len(made)
        with refusals.gathering(), _located(where):
            layer, tensors = make(where, record)
            if places.setdefault(layer.name, where) != where:
                raise ModelError(
                    f"{where}: column 'name': {layer.name!r} already stands at {places[layer.name]}; names must be unique"
                )
            made.append((layer, tensors))
        if len(made) == known:
            refused(record)
    refusals.check()
    return _shape_only_graph(path, made)


@contextmanager
def _located(where: str) -> Iterator[None]:
    try:
        yield
    except GraphError as error:
        raise ModelError(f"{where}: {error}") from error


def _shape_only_graph(path: Path, made: Sequence[Made]) -> Graph:
    read = {name for layer, _ in made for name in layer.inputs}
    outputs = {layer.output for layer, _ in made}
    try:
        return Graph(
            name=name_of(path),
            arithmetic=NO_ARITHMETIC,
            tensors={tensor.name: tensor for _, tensors in made for tensor in tensors},
            layers=tuple(layer for layer, _ in made),
            inputs=tuple(HostPort(name, name) for layer, _ in made for name in layer.inputs if name not in outputs),
            outputs=tuple(HostPort(layer.output, layer.output) for layer, _ in made if layer.output not in read),
            shape_only=True,
        )
    except GraphError as error:
        raise ModelError(f"{path}: {error}") from error


def _row(place: str, header: list[str], record: list[str]) -> Row:
    if len(record) != len(header):
        raise ModelError(f"{place}: {len(record)} cells under {len(header)} columns; expected one cell per column")
    return Row(place, dict(zip(header, record, strict=True)), DEFAULTS)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ModelFileError(
            f"{path}: expected a layer table in CSV, but it cannot be read: {reason}", path=str(path)
        ) from error


def _check_header(where: str, header: list[str]) -> None:
    missing = [column for column in REQUIRED if column not in header]
    unknown = [column for column in header if column not in COLUMNS]
    if unknown:
        near = difflib.get_close_matches(unknown[0], COLUMNS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ModelError(f"{where}: unknown column {unknown[0]!r}; expected {', '.join(COLUMNS)}{hint}")
    if missing or len(set(header)) != len(header):
        what = f"missing columns {missing}" if missing else "a column stands twice"
        raise ModelError(f"{where}: {what}; expected {', '.join(COLUMNS)}")


def _form(row: Row) -> Form:
    operation = row.cells["op"].lower()
    if operation not in OPERATIONS:
        near = difflib.get_close_matches(operation, OPERATIONS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise row.fail("op", f"one of {', '.join(OPERATIONS)}{hint}")
    kind, build = OPERATIONS[operation]
    return build(row, kind)


def _make(row: Row, kind: type[Layer], inputs: tuple[Shape, ...], output: Shape, **fields: Any) -> Form:
    fmt = IntFormat(row.integer("activation_bits", least=2, most=32))
    return Form(kind, inputs, output, fmt, fields)


def _mac(row: Row, kind: type[Layer], geometry: MacGeometry) -> Form:
    shapes = (geometry.input_shape, geometry.weight_shape) if kind is MatMul else (geometry.input_shape,)
    fmt = IntFormat(row.integer("weight_bits", least=1, most=32))
    return _make(row, kind, shapes, geometry.output_shape, geometry=geometry, weights=None, weight_format=fmt)


def _convolution(row: Row, kind: type[Layer], groups: int) -> Form:
    n, h, w, c = row.shape
    kh, kw, stride, dilation = (row.integer(column) for column in ("kh", "kw", "stride", "dilation"))
    (oh, top), (ow, left) = row.window(h, kh), row.window(w, kw)
    geometry = MacGeometry(
        n=n, ih=h, iw=w, ic=c, oh=oh, ow=ow, oc=row.integer("oc", default=c), kh=kh, kw=kw, stride_h=stride,
        stride_w=stride, dilation_h=dilation, dilation_w=dilation, pad_top=top, pad_left=left, groups=groups,
    )  # fmt: skip
    return _mac(row, kind, geometry)


def _conv2d(row: Row, kind: type[Layer]) -> Form:
    return _convolution(row, kind, row.integer("groups"))


def _depthwise(row: Row, kind: type[Layer]) -> Form:
    channels = row.shape[3]
    if row.cells.get("groups", "") not in ("", "1", str(channels)):
        raise row.fail("groups", f"{channels}, the input channels, or nothing")
    return _convolution(row, kind, channels)


def _rows_only(row: Row) -> tuple[int, int]:
    """Rows and row length of a matrix: ``h`` and ``c``; ``n`` and ``w`` are 1."""
    n, h, w, c = row.shape
    for column, value in (("n", n), ("w", w)):
        if value != 1:
            raise row.fail(column, "1, the matrix having h rows of c values")
    return h, c


def _matrix(row: Row, kind: type[Layer], groups: int) -> Form:
    rows, c = _rows_only(row)
    oc = row.integer("oc", default=c)
    return _mac(row, kind, MacGeometry(n=1, ih=rows, iw=1, ic=c, oh=rows, ow=1, oc=oc, groups=groups))


def _dense(row: Row, kind: type[Layer]) -> Form:
    return _matrix(row, kind, 1)


def _matmul(row: Row, kind: type[Layer]) -> Form:
    return _matrix(row, kind, row.integer("groups"))


def _pair(row: Row, kind: type[Layer]) -> Form:
    return _make(row, kind, (row.shape, row.shape), row.shape, shapes=(row.shape, row.shape), shape=row.shape)


def _scale(row: Row, kind: type[Layer]) -> Form:
    factors = (row.shape[0], 1, 1, row.shape[3])
    return _make(row, kind, (row.shape, factors), row.shape, shapes=(row.shape, factors), shape=row.shape)


def _pool(row: Row, kind: type[Layer]) -> Form:
    n, h, w, c = row.shape
    kernel, stride = (row.integer("kh"), row.integer("kw")), row.integer("stride")
    (oh, top), (ow, left) = row.window(h, kernel[0]), row.window(w, kernel[1])
    shape = (n, oh, ow, c)
    fields = {"kernel": kernel, "stride": (stride, stride), "pad": (top, left)}
    return _make(row, kind, (row.shape,), shape, shapes=(row.shape,), shape=shape, **fields)


def _mean(row: Row, kind: type[Layer]) -> Form:
    shape = (row.shape[0], 1, 1, row.shape[3])
    return _make(row, kind, (row.shape,), shape, shapes=(row.shape,), shape=shape, axes=(1, 2))


def _softmax(row: Row, kind: type[Layer]) -> Form:
    n, h, w, c = row.shape
    view = (n * h * w, c)
    return _make(row, kind, (view,), view, shapes=(view,), shape=view)


def _lut(row: Row, kind: type[Layer]) -> Form:
    return _make(row, kind, (row.shape,), row.shape, shapes=(row.shape,), shape=row.shape)


OPERATIONS: Mapping[str, tuple[type[Layer], Callable[[Row, type[Layer]], Form]]] = MappingProxyType(
    {
        "conv2d": (Conv2D, _conv2d),
        "depthwise_conv2d": (DepthwiseConv2D, _depthwise),
        "dense": (Dense, _dense),
        "matmul": (MatMul, _matmul),
        "add": (Add, _pair),
        "mul": (Mul, _pair),
        "scale": (Mul, _scale),
        "max_pool": (MaxPool2D, _pool),
        "average_pool": (AveragePool2D, _pool),
        "mean": (Mean, _mean),
        "softmax": (Softmax, _softmax),
        "lut": (Lut, _lut),
    }
)
"""``op`` -> the layer it becomes and how a row becomes one."""
