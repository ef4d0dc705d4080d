"""ONNX Runtime's own quantizer."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import quantization as q


class _Reader(q.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, shape: tuple[int, ...], count: int) -> None:
        rng = np.random.default_rng(1)
        self._data = iter([{"x": rng.normal(0, 1, shape).astype(np.float32)} for _ in range(count)])

    def get_next(self) -> Any:
        return next(self._data, None)


def quantize_static(
    source: Path, target: Path, shape: tuple[int, ...], *, count: int, activation: str, weight: str, **options: Any
) -> Path:
    """``target``, made of ``source`` with ``count`` random inputs of ``shape``; types by their names in ``QuantType``."""
    types = {"activation_type": getattr(q.QuantType, activation), "weight_type": getattr(q.QuantType, weight)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        q.quantize_static(str(source), str(target), _Reader(shape, count), **types, **options)
    return target
