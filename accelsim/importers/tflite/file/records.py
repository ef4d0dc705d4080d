"""Plain frozen records of what a .tflite file says, free of the file format's library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.account import FileName, layer_names

Option = int | float | bool | str | tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class TfliteTensor:
    """One tensor: ``name`` is unique in the model, ``data`` its constant value of shape ``shape``, None if computed.

    ``type`` is the schema's name (``INT8``, ``FLOAT32`` ...). ``scales`` float32 and ``zero_points`` int64 have one
    entry per tensor, or one per index of axis ``quantized_dimension``; both are empty where the tensor is not
    quantized. 4-bit values are unpacked to int8. ``open_axes`` are those whose size the file leaves open, such as a batch; its
    ``shape`` has 1 there.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    type: str
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    quantized_dimension: int = 0
    data: NDArray[Any] | None = None
    open_axes: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its value."""
        return self.data is not None


@dataclass(frozen=True, eq=False, kw_only=True)
class TfliteOperator:
    """One operator: ``op`` as the schema spells it, tensor indices (-1 where an optional input is absent).

    ``unread`` says why its record cannot be read, and what can: reason and what is accepted.
    """

    index: int
    op: str
    options: Mapping[str, Option]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    unread: tuple[str, str] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class TfliteModel:
    """A subgraph of a .tflite file; operators stand in an order in which tensors are made before they are read.

    ``once`` are those, by number, that the main one calls before its first inference.
    """

    path: str
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    once: Mapping[int, TfliteModel] = field(default_factory=dict)

    def layer_name(self, operator: TfliteOperator) -> str:
        """What the layers of ``operator`` are called."""
        return self._layer_names[operator.index]

    @cached_property
    def _layer_names(self) -> dict[int, str]:
        outputs = (next((self.tensors[i].name for i in each.outputs), "") for each in self.operators)
        files = (
            FileName("", output, each.op, each.index) for each, output in zip(self.operators, outputs, strict=True)
        )
        return dict(zip((each.index for each in self.operators), layer_names(files), strict=True))
