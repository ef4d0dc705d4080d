"""Layer tables row by row, as the importer reads them: each layer reads where the one before it left off, or another place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from typing import NamedTuple

Shape = tuple[int, int, int]
OUTSIDE = "-"
"""Who made what no row made."""
FORMAT_NOTE = (
    "Shapes only: h, w, c are the input's; inputs are the layers whose results it reads, - one from outside.",
    "A matmul multiplies two activations: h rows, c = groups * k, oc = groups * n. Rectifiers are fused.",
)
EXTRAS = {
    "output_bits": "output_bits is the result's width where it is not activation_bits.",
    "output": "output is yes where the result leaves the network though rows read it.",
}
"""Columns that are written where a row has something to say in one of them, and what they mean."""


class Widths(NamedTuple):
    """Bits of weights and of activations."""

    weight: int = 8
    activation: int = 8


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer; the fields are the columns, in order. ``padding`` is ``same``, ``valid`` or a symmetric width."""

    name: str
    op: str
    n: int = 1
    h: int
    w: int
    c: int
    kh: int = 1
    kw: int = 1
    oc: int
    stride: int = 1
    dilation: int = 1
    padding: str | int = "valid"
    groups: int = 1
    weight_bits: int = 8
    activation_bits: int = 8
    output_bits: int | str = ""
    output: str = ""
    inputs: str = ""

    @property
    def result(self) -> Shape:
        """Height, width and channels of the layer's result."""
        return self._side(self.h, self.kh), self._side(self.w, self.kw), self.oc

    def _side(self, size: int, kernel: int) -> int:
        if self.padding == "same":
            return -(-size // self.stride)
        margin = 0 if self.padding == "valid" else int(self.padding)
        return (size + 2 * margin - self.dilation * (kernel - 1) - 1) // self.stride + 1


class Place(NamedTuple):
    """What a layer can read: a tensor's height, width and channels, of each of ``n`` images, and the layer that made it."""

    shape: Shape
    made: str = OUTSIDE
    n: int = 1


class Table:
    """Rows collected layer by layer; ``here`` is what the next layer reads, ``source`` what the comments say."""

    def __init__(self, *source: str, shape: Shape, n: int = 1, widths: Widths = Widths()) -> None:  # noqa: B008 a value
        self.source, self.widths = source, widths
        self.here = Place(shape, n=n)
        self.rows: list[Row] = []

    @property
    def shape(self) -> Shape:
        """Height, width and channels that the next layer reads."""
        return self.here.shape

    def layer(self, name: str, op: str, *, oc: int = 0, second: Place | None = None, **columns: int | str) -> None:
        """Append a layer that reads the current place, and ``second``; ``oc`` 0 keeps the channel count."""
        (h, w, c), n = self.shape, self.here.n
        made = [place.made for place in (self.here, second) if place]
        inputs = "" if set(made) == {OUTSIDE} else " ".join(made)
        right = self.widths.activation if op == "matmul" else self.widths.weight
        bits = {"weight_bits": right, "activation_bits": self.widths.activation}
        cells = {"n": n, "h": h, "w": w, "c": c, "oc": oc or c, "inputs": inputs, **bits, **columns}
        row = Row(name=name, op=op, **cells)  # type: ignore[arg-type]
        self.rows.append(row)
        self.here = Place(row.result, name, n)

    def view(self, *shape: int) -> None:
        """Let the next layer read the same values in another shape."""
        h, w, c = shape
        self.here = Place((h, w, c), self.here.made)

    def outside(self, *shape: int) -> None:
        """Let the next layer read what no layer of the table made."""
        h, w, c = shape
        self.here = Place((h, w, c))

    def conv(self, name: str, oc: int, *, kernel: int = 1, stride: int = 1, padding: str | int = 0) -> None:
        """Append a square convolution."""
        self.layer(name, "conv2d", oc=oc, kh=kernel, kw=kernel, stride=stride, padding=padding)

    def depthwise(self, name: str, *, kernel: int, stride: int) -> None:
        """Append a square depthwise convolution with padding ``same``."""
        c = self.shape[2]
        self.layer(name, "depthwise_conv2d", kh=kernel, kw=kernel, stride=stride, groups=c, padding="same")

    def flatten(self) -> None:
        """Let the next layer read one row of all values of each image."""
        h, w, c = self.shape
        self.view(self.here.n, 1, h * w * c)

    def mean(self, name: str) -> None:
        """Append the average over height and width, one row of channels for each image."""
        h, w, _ = self.shape
        self.layer(name, "mean", kh=h, kw=w)
        self.flatten()

    def classifier(self, classes: int) -> None:
        """Append global average, dense layer and softmax."""
        self.mean("mean")
        self.layer("fc", "dense", oc=classes)
        self.layer("softmax", "softmax")

    def text(self, maker: str) -> str:
        """The table as CSV with leading comments, which name its ``maker``."""
        return "\n".join([*(f"# {line}" for line in self._comments(maker)), *self._lines(), ""])

    def _comments(self, maker: str) -> Iterator[str]:
        yield from self.source
        yield f"Made by {maker}. {FORMAT_NOTE[0]}"
        yield from FORMAT_NOTE[1:]
        used = " ".join(text for column, text in EXTRAS.items() if column in self._columns())
        if used:
            yield used[0].upper() + used[1:]

    def _columns(self) -> tuple[str, ...]:
        names = (field.name for field in fields(Row))
        return tuple(x for x in names if x not in EXTRAS or any(getattr(row, x) for row in self.rows))

    def _lines(self) -> Iterator[str]:
        columns = self._columns()
        taken = [field.name in columns for field in fields(Row)]
        yield ",".join(columns)
        for row in self.rows:
            yield ",".join(str(cell) for cell, kept in zip(astuple(row), taken, strict=True) if kept)
