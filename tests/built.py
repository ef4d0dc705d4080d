"""The compute tiles of a Program of one MAC layer, read off its operations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.graph import Conv2D, MacGeometry
from accelsim.hardware import Engine
from accelsim.program import MacMapping, Program
from tests.networks import single

Range = tuple[int, int]


class Computed(NamedTuple):
    """A compute tile: the operation, its boxes axis by axis, and the loads that it reads."""

    operation: int
    output: list[Range]
    weights: list[Range]
    inputs: list[Range]
    weight_load: int
    input_load: int


def one_layer(g: MacGeometry, mapping: MacMapping, arch: Arch) -> Program:
    """A layer of that shape alone."""
    return build_program(single(Conv2D, g, shape_only=True), arch=arch, mappings=(mapping,))


def computed(program: Program) -> list[Computed]:
    """In program order."""
    found = []
    for i in np.flatnonzero(program.of_engine(Engine.COMPUTE)).tolist():
        weights, inputs = program.operands(i)[:2].tolist()
        boxes = [list(zip(*program.box(j), strict=True)) for j in (i, weights, inputs)]
        found.append(Computed(i, *boxes, weights, inputs))
    return found
