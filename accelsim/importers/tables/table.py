"""A layer table in CSV becomes a shape-only Graph: every row is one layer that can be timed, not executed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from accelsim.errors import ModelError
from accelsim.graph import (
    Add,
    AveragePool2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Graph,
    Layer,
    Lut,
    MacGeometry,
    MatMul,
    MaxPool2D,
    Mean,
    Mul,
    Softmax,
    same_window,
    window_extent,
)
from accelsim.importers.tables.drawn import Form, form_of, format_of
from accelsim.importers.tables.lines import Lines
from accelsim.importers.tables.wiring import graph_of_rows

COLUMNS = (
    "name", "op", "n", "h", "w", "c", "kh", "kw", "oc", "stride", "dilation", "padding", "groups", "weight_bits",
    "activation_bits", "output_bits", "output", "inputs",
)  # fmt: skip
REQUIRED = ("name", "op", "h", "w", "c")
DEFAULTS = MappingProxyType(
    {"n": 1, "kh": 1, "kw": 1, "stride": 1, "dilation": 1, "groups": 1, "weight_bits": 8, "activation_bits": 8}
)
"""What an empty cell means; ``oc`` is the input's ``c``, ``padding`` is valid, ``output_bits`` are ``activation_bits``, ``output`` is no."""
MAX_SIZE = 2**31 - 1


@lru_cache(maxsize=4096)
def _whole(text: str) -> int | None:
    """The whole number that ``text`` is, in fewer than twelve characters."""
    plain = text.isascii() and text.removeprefix("-").isdigit() and len(text) < 12
    return int(text) if plain else None


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
        number = _whole(text) if text else self.defaults.get(column, default)
        if number is None or (text and not least <= number <= most):
            raise self.fail(column, f"an integer of {least} to {most}")
        return number

    @property
    def name(self) -> str:
        """The layer's name."""
        if not self.cells["name"]:
            raise self.fail("name", "a layer name")
        return self.cells["name"]

    @property
    def is_output(self) -> bool:
        """Whether the result leaves the network, though rows read it."""
        text = self.cells.get("output", "").lower()
        if text not in ("", "no", "yes"):
            raise self.fail("output", "'yes', 'no' or nothing")
        return text == "yes"

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, h, w, c) of the input."""
        return self.integer("n"), self.integer("h"), self.integer("w"), self.integer("c")

    @cached_property
    def steps(self) -> tuple[int, int]:
        """Stride and dilation, along rows as along columns."""
        return self.integer("stride"), self.integer("dilation")

    def window(self, size: int, kernel: int) -> tuple[int, int]:
        """Output size and padding in front of one axis."""
        stride, dilation = self.steps
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


def load_table(lines: Lines) -> Graph:
    """The shape-only Graph of a layer table; ModelFileError or ModelError with file:line and column, of every row that is refused."""
    header = [cell.lower() for cell in lines.header]
    _check_header(lines.where(-1), header)

    def make(place: str, record: list[str]) -> Form:
        row = _row(place, header, record)
        form = _form(row)
        _ = row.name
        return form

    inputs = header.index("inputs") if "inputs" in header else None
    return graph_of_rows(lines, make, name=header.index("name"), inputs=inputs)


def _row(place: str, header: list[str], record: list[str]) -> Row:
    if len(record) != len(header):
        raise ModelError(f"{place}: {len(record)} cells under {len(header)} columns; expected one cell per column")
    return Row(place, dict(zip(header, record, strict=True)), DEFAULTS)


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
    form = build(row, kind)
    width = row.integer("output_bits", least=2, most=32, default=form.result.bits)
    return Form(form.pattern, form.formats, format_of(width), row.is_output)


def _make(row: Row, kind: type[Layer], **fields: Any) -> Form:
    return form_of(kind, format_of(row.integer("activation_bits", least=2, most=32)), **fields)


def _mac(row: Row, kind: type[Layer], geometry: MacGeometry) -> Form:
    fmt = format_of(row.integer("weight_bits", least=1, most=32))
    return _make(row, kind, geometry=geometry, weights=None, weight_format=fmt)


def _convolution(row: Row, kind: type[Layer], groups: int) -> Form:
    n, h, w, c = row.shape
    kh, kw = row.integer("kh"), row.integer("kw")
    stride, dilation = row.steps
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
    return _make(row, kind, shapes=(row.shape, row.shape), shape=row.shape)


def _scale(row: Row, kind: type[Layer]) -> Form:
    factors = (row.shape[0], 1, 1, row.shape[3])
    return _make(row, kind, shapes=(row.shape, factors), shape=row.shape)


def _pool(row: Row, kind: type[Layer]) -> Form:
    n, h, w, c = row.shape
    kernel, stride = (row.integer("kh"), row.integer("kw")), row.integer("stride")
    (oh, top), (ow, left) = row.window(h, kernel[0]), row.window(w, kernel[1])
    shape = (n, oh, ow, c)
    fields = {"kernel": kernel, "stride": (stride, stride), "pad": (top, left)}
    return _make(row, kind, shapes=(row.shape,), shape=shape, **fields)


def _mean(row: Row, kind: type[Layer]) -> Form:
    shape = (row.shape[0], 1, 1, row.shape[3])
    return _make(row, kind, shapes=(row.shape,), shape=shape, axes=(1, 2))


def _softmax(row: Row, kind: type[Layer]) -> Form:
    n, h, w, c = row.shape
    view = (n * h * w, c)
    return _make(row, kind, shapes=(view,), shape=view)


def _lut(row: Row, kind: type[Layer]) -> Form:
    return _make(row, kind, shapes=(row.shape,), shape=row.shape)


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
