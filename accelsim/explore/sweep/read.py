"""``read_sweep``: all finished chunks of a sweep as one table."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import SweepError
from accelsim.explore.sweep.space import Column, column_of
from accelsim.explore.sweep.store import DamagedError, Store, about, existing_store

if TYPE_CHECKING:
    import pandas


def read_sweep(out: str | Path) -> pandas.DataFrame:
    """The rows in the folder of a sweep, a column each, in the order of the points, whoever computed them.

    Of a sweep that is not finished what there is; of one begun anew the newest generation, or that in ``out/run-1``. Columns:
    ``point`` (number), ``key`` (digest of all that the row follows from), ``workload``, one for each axis, those of
    :func:`accelsim.evaluate`, and ``feasible``. ``frame.attrs["sweep"]`` has the ``folder``, the number of ``points``, how many
    are ``finished``, the names of the ``axes``, ``groups``, the ``objective``, the ``machine`` (its ``name`` and ``yaml``), the ``space``
    as the header of the sweep records it, and the kinds of ``columns``. SweepError where there is no sweep, or no pandas.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise SweepError("read_sweep makes a DataFrame of pandas: pip install 'accelsim[explore]'") from error
    store = existing_store(Path(out))
    columns, finished = _columns(store)
    frame = pd.DataFrame(columns)
    frame.attrs["sweep"] = about(store.header, str(store.folder)) | {"finished": finished}
    return frame


def _columns(store: Store) -> tuple[dict[str, Column], int]:
    """All rows, and the number of points that they are of, those included that a constraint left out."""
    parts, damaged, finished = list[dict[str, Column]](), list[str](), 0
    for chunk, path in store.files().items():
        try:
            parts.append(store.read(path))
            start, stop = store.span(chunk)
            finished += stop - start
        except DamagedError:
            damaged.append(path.name)
    if damaged:
        warnings.warn(
            f"{store.folder}: {len(damaged)} damaged file(s) left out, {damaged[0]} first; the command that made them makes them anew",
            RuntimeWarning,
            stacklevel=3,
        )
    kinds = store.header["columns"]
    columns = {
        name: np.concatenate([column_of((), kind), *(part[name] for part in parts)]) for name, kind in kinds.items()
    }
    return columns, finished
