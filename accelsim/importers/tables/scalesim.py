"""A SCALE-Sim topology in CSV becomes a shape-only Graph; convolutions and matrix products are told apart by the header.

Both forms are those of ``scalesim/topology_utils.py``, version 3.0.0 (Samajdar et al., ISPASS 2020;
github.com/scalesim-project/scale-sim-v2). SCALE-Sim reads cells by position, whatever the header says; here the header's words
decide where they are known, and the position where they are not.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from accelsim.errors import ModelError
from accelsim.graph import Conv2D, Dense, Graph, MacGeometry
from accelsim.importers.tables.drawn import Form, form_of, format_of
from accelsim.importers.tables.lines import Lines
from accelsim.importers.tables.table import Row
from accelsim.importers.tables.wiring import graph_of_rows

WORD_BITS = 8
"""SCALE-Sim counts words of one byte (``word_size`` in ``single_layer_sim.py``)."""
DEPTHWISE = "DP"
"""In a layer's name: SCALE-Sim runs the row once per channel, with one channel each."""
NAMES = ("layer name", "layer", "layers")
STRIDE = "strides"
STRIDE_AXES = ("stride height", "stride width")
SPARSITY = "sparsity"
OWN = {"name", "op"}
"""Columns of our own tables, which no topology has."""


@dataclass(frozen=True)
class Topology:
    """One of the two kinds of topology: its required columns, those it also accepts, and how it is written."""

    required: tuple[str, ...]
    accepted: tuple[str, ...]
    example: str


CONVOLUTION = Topology(
    ("ifmap height", "ifmap width", "filter height", "filter width", "channels", "num filter"),
    (STRIDE, *STRIDE_AXES, SPARSITY),
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,",
)
GEMM = Topology(("m", "n", "k"), (SPARSITY,), "Layer, M, N, K,")
FORMS = (CONVOLUTION, GEMM)


def is_topology(lines: Lines) -> bool:
    """Whether the header begins with a layer's name as SCALE-Sim writes it, or fits one of its forms by position.

    Raises as :attr:`Lines.header`.
    """
    words = [_word(cell) for cell in lines.header]
    if words[0] in NAMES or OWN & set(words):
        return words[0] in NAMES
    columns = _columns(lines.header)
    return any(set(form.required) <= set(columns) for form in FORMS) or _positional(columns) is not None


def load_topology(lines: Lines) -> Graph:
    """The shape-only Graph of a topology; ModelFileError or ModelError with file:line, column and remedy."""
    columns = _columns(lines.header)
    if not any(set(form.required) <= set(columns) for form in FORMS):
        columns = _positional(columns) or columns
    form = _form(lines.where(-1), columns)
    return graph_of_rows(
        lines,
        lambda where, record: _layer(_row(where, columns, record), form),
        name=0,
        mark=DEPTHWISE,
    )


def _word(cell: str) -> str:
    return " ".join(cell.lower().split())


def _columns(header: list[str]) -> list[str]:
    """The header's words without the empty cell of a trailing comma; the first one is ``name``."""
    words = [_word(cell) for cell in header]
    while words and not words[-1]:
        words.pop()
    return ["name", *(STRIDE if word == "stride" else word for word in words[1:])]


def _positional(columns: list[str]) -> list[str] | None:
    """The columns by their position, as SCALE-Sim has them; None where their number fits no form, or a known word stands elsewhere.

    Behind the last required column only a word that is known is taken for what it says.
    """
    for form, last in ((GEMM, ()), (CONVOLUTION, (STRIDE,))):
        places = ["name", *form.required, *last]
        known = {*form.required, *form.accepted}
        more = columns[len(places) :]
        if len(columns) < len(places) or len(more) > 1 or not set(more) <= {SPARSITY}:
            continue
        if all(word == place for word, place in zip(columns, places, strict=False) if word in known):
            return [*places, *more]
    return None


def _form(where: str, columns: list[str]) -> Topology:
    form = next((form for form in FORMS if set(form.required) <= set(columns)), None)
    if form is None:
        raise ModelError(f"{where}: {_strange(columns)}; expected '{CONVOLUTION.example}' or '{GEMM.example}'")
    _check_columns(where, columns, form)
    if form is CONVOLUTION and not _has_strides(columns):
        raise ModelError(f"{where}: expected either a column 'Strides', or both 'Stride height' and 'Stride width'")
    return form


def _strange(columns: list[str]) -> str:
    known = {word for form in FORMS for word in (*form.required, *form.accepted)}
    unknown = [word for word in columns[1:] if word not in known]
    if not unknown:
        return "neither the columns of a convolution topology nor those of a GEMM topology are complete"
    near = difflib.get_close_matches(unknown[0], known, n=1)
    return f"unknown column {unknown[0]!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _check_columns(where: str, columns: list[str], form: Topology) -> None:
    for column in columns[1:]:
        if column not in (*form.required, *form.accepted):
            raise ModelError(f"{where}: unknown column {column!r}; expected '{form.example}'")
        if columns.count(column) > 1:
            raise ModelError(f"{where}: column {column!r} stands twice; expected '{form.example}'")


def _has_strides(columns: list[str]) -> bool:
    return (STRIDE in columns, *(axis in columns for axis in STRIDE_AXES)) in (
        (True, False, False),
        (False, True, True),
    )


def _row(where: str, columns: list[str], record: list[str]) -> Row:
    """Cells by column; behind the last one stands nothing, an empty cell or a comment that begins with ``#``."""
    cells, rest = record[: len(columns)], [cell for cell in record[len(columns) :] if cell]
    if len(cells) < len(columns) or (rest and not rest[0].startswith("#")):
        given = len(cells) + len(rest)
        raise ModelError(f"{where}: {given} cells under {len(columns)} columns; expected one cell per column")
    return Row(where, dict(zip(columns, cells, strict=True)), {})


def _layer(row: Row, form: Topology) -> Form:
    _refuse_what_is_not_modelled(row)
    made = _convolution(row) if form is CONVOLUTION else _product(row)
    _ = row.name
    return made


def _refuse_what_is_not_modelled(row: Row) -> None:
    """ModelError for sparse weights and for a name by which SCALE-Sim would choose another operation."""
    if DEPTHWISE in row.name:
        raise ModelError(
            f"{row.where}: column 'layer name': SCALE-Sim runs {row.name!r} as one layer per channel because {DEPTHWISE!r} is in "
            f"its name, which is not read here; expected a row of 1 channel per channel, or depthwise_conv2d in a layer table"
        )
    ratio = row.cells.get(SPARSITY, "").replace(" ", "") or "1:1"
    kept, _, block = ratio.partition(":")
    if not (kept.isdecimal() and kept == (block or kept) and int(kept) > 0):
        raise ModelError(
            f"{row.where}: column 'sparsity': expected 1:1, since sparse weights are not modelled, got {ratio!r}; "
            f"write 1:1 for the dense layer"
        )


def _convolution(row: Row) -> Form:
    """No padding, and ``ceil((ifmap - filter + stride) / stride)`` outputs: the last window may hang over the edge."""
    h, w, kh, kw, c, filters = (row.integer(column) for column in CONVOLUTION.required)
    stride_h, stride_w = _strides(row)
    oh, ow = _outputs(row, "height", h, kh, stride_h), _outputs(row, "width", w, kw, stride_w)
    geometry = MacGeometry(
        n=1, ih=h, iw=w, ic=c, oh=oh, ow=ow, oc=filters, kh=kh, kw=kw, stride_h=stride_h, stride_w=stride_w
    )
    return _mac(row, Conv2D, geometry)


def _strides(row: Row) -> tuple[int, int]:
    if STRIDE_AXES[0] in row.cells:
        return row.integer(STRIDE_AXES[0]), row.integer(STRIDE_AXES[1])
    return row.integer(STRIDE), row.integer(STRIDE)


def _outputs(row: Row, axis: str, size: int, kernel: int, stride: int) -> int:
    if kernel > size:
        raise ModelError(
            f"{row.where}: column 'filter {axis}': expected at most the {size} of 'ifmap {axis}', got {kernel}; SCALE-Sim "
            f"does not pad, so the ifmap includes the padding",
            column=f"filter {axis}",
        )
    return -(-(size - kernel + stride) // stride)


def _product(row: Row) -> Form:
    """An M x K matrix by a K x N one; the second counts as the filters."""
    m, n, k = (row.integer(column) for column in GEMM.required)
    return _mac(row, Dense, MacGeometry(n=1, ih=m, iw=1, ic=k, oh=m, ow=1, oc=n))


def _mac(row: Row, kind: type[Conv2D] | type[Dense], geometry: MacGeometry) -> Form:
    fmt = format_of(WORD_BITS)
    return form_of(kind, fmt, geometry=geometry, weights=None, weight_format=fmt)
