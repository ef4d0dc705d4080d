"""The bytes of every DRAM transfer of a Program, in the order in which the DMA moves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execute.im2col import Matrices
from accelsim.execute.memory import pack
from accelsim.hardware import DRAM, Engine, stored
from accelsim.numerics import IntFormat
from accelsim.program import Program


class Transfers:
    """Transfers of ``program``; ``tensors`` are the codes of one inference by name."""

    def __init__(self, program: Program, tensors: Mapping[str, NDArray[Any]]) -> None:
        self._program, self._tensors, self._matrices = program, tensors, Matrices(program)
        self._by_windows = program.arch.activation_buffer.im2col == DRAM

    def packed(self, transfer: int) -> NDArray[np.uint8]:
        """uint8 bytes of a load or a STORE."""
        codes, fmt = self._codes(transfer)
        if self._by_windows and self._matrices.expands(transfer):
            codes = self._matrices.fetched(transfer, codes)
        return pack(codes, fmt)

    def _codes(self, transfer: int) -> tuple[NDArray[Any], IntFormat]:
        """Codes of the transfer's box, and their format."""
        program, engine = self._program, self._program.engine[transfer]
        layer: Any = program.graph.layers[program.layer[transfer]]
        box = tuple(slice(a, b) for a, b in zip(*program.box(transfer), strict=True))
        if engine == Engine.LOAD_WEIGHTS and layer.weights is not None:
            kept = stored(layer, program.arch)
            return kept.encoded(layer.weights.reshape(layer.geometry.weight_shape)[box], box[0].start), kept.format
        if engine == Engine.STORE:
            name, view = layer.output, layer.output_shape
        else:
            number = int(program.operand[transfer])
            name, view = layer.inputs[number], layer.input_shapes[number]
        return self._tensors[name].reshape(view)[box], program.graph.tensors[name].format
