"""What is sure of all tilings with the same tiles of channels and taps, whatever their tiles of pixels: numba helpers."""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.hardware import Loops, Machine
from accelsim.hardware.compiled import INPUT_STATIONARY, parts
from accelsim.mapper.tiling._sums import Energies, array_totals
from accelsim.numba_cache import inner


class Work(NamedTuple):
    """Fewest cycles of the array, and least picojoules of what it reads and writes."""

    cycles: float
    energy: float


@inner
def work_of(machine: Machine, pj: Energies, layer: Loops, tile: Loops, least: int) -> Work:
    """Of tilings with the channels and taps of ``tile``, which has all pixels; no tiling takes fewer cycles than ``least``.

    The array is never slower with all pixels in one tile than in several, but where groups and pixels share its columns.
    """
    if machine.array.dataflow == INPUT_STATIONARY and layer.groups > 1:
        return Work(float(least), 0.0)
    total = array_totals(machine.array, layer, tile, False, False)
    energy = total.weights * pj.weight_read + total.reads * pj.activation_read + total.writes * pj.accumulator_write
    return Work(float(total.cycles), energy)


@inner
def reloads_of(layer: Loops, tile: Loops, pixels: int) -> tuple[float, float, bool]:
    """(tiles of pixels at least, tiles of channels that inputs come for, whether both operands are loaded for each).

    A tile has so many ``pixels`` at most. Weights come for each tile of pixels, or inputs for each tile of channels, or both
    where sums are added to in several steps.
    """
    spatial = float(parts(layer.n * layer.oh * layer.ow, max(1, pixels)))
    steps = parts(layer.kh, tile.kh) * parts(layer.kw, tile.kw) * parts(layer.ic, tile.ic)
    return spatial, float(parts(layer.oc, tile.oc)), steps > 1


@inner
def weight_bytes(machine: Machine, layer: Loops) -> Any:
    """Of all weights, as they are asked for once."""
    return layer.oc * layer.groups * layer.kh * layer.kw * layer.ic * machine.operands.weight_bits / 8.0
