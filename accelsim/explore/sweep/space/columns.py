"""Columns of a sweep's table: four kinds, chosen once for all points, so that every chunk has the same types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.explore.evaluate import ROW

Kind = Literal["whole", "real", "truth", "text"]
Column = NDArray[Any]
Columns = Mapping[str, Column]
"""Arrays of one length by name: int64, float64, bool, or object for texts, where None stands for no text."""
DTYPES: Mapping[Kind, Any] = {"whole": np.int64, "real": np.float64, "truth": np.bool_, "text": object}


def kind_of(values: Iterable[Any]) -> Kind:
    """What holds all of ``values``: numbers where all are (None is NaN), else their texts."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "truth"
    if kinds == {int}:
        return "whole"
    return "real" if kinds <= {int, float, type(None)} and kinds != {type(None)} else "text"


def column_of(values: Sequence[Any], kind: Kind) -> Column:
    """``values`` as a column of that ``kind``."""
    if kind == "text":
        return np.array([None if value is None else _text(value) for value in values], dtype=object)
    return np.array(values, dtype=DTYPES[kind])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def result_kinds() -> dict[str, Kind]:
    """Kinds of the columns of :data:`accelsim.explore.evaluate.ROW`."""
    letters: dict[str, Kind] = {"i": "whole", "f": "real"}
    return {name: letters.get(ROW[name].kind, "text") for name in ROW.names or ()}


def result_columns(table: NDArray[np.void]) -> dict[str, Column]:
    """The columns of a table of :func:`accelsim.evaluate`."""
    return {name: np.ascontiguousarray(table[name], dtype=DTYPES[kind]) for name, kind in result_kinds().items()}
