"""Tensors by name as an .npz file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_tensors(tensors: Mapping[str, NDArray[Any]], stream: IO[bytes]) -> None:
    """Write ``tensors`` so that ``numpy.load`` reads them back under the same names.

    ``numpy.savez`` takes names as keyword arguments, so that a tensor called ``file`` would break it; and it stamps the
    time, so that equal runs would make different files.
    """
    with zipfile.ZipFile(stream, "w") as archive:
        for name, values in tensors.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)
