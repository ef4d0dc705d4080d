"""Numba kernels of a memory that weights and activations share: the banks that tiles need, how each layer divides them, and who waits
where the division changes."""

from __future__ import annotations

from typing import Any

from accelsim.builder._emit import ACTIVATIONS, WEIGHTS
from accelsim.builder.records import BEHIND, FILLS, NONE, MacJob
from accelsim.graph import Axis
from accelsim.graph.compiled import rows_under
from accelsim.hardware import Capacity, Loops, Machine
from accelsim.hardware.compiled import banks_taken, footprint, packed_bytes, parts
from accelsim.numba_cache import borrowing, tiered


@borrowing
def _most_under(axis: Axis, tile: int, tap: int) -> int:
    """Most inputs along an axis under a tile of so many outputs and taps."""
    most = 0
    for y in range(parts(axis.out, tile)):
        for k in range(parts(axis.taps, tap)):
            low, high = rows_under(
                axis, y * tile, min((y + 1) * tile, axis.out), k * tap, min((k + 1) * tap, axis.taps)
            )
            most = max(most, high - low)
    return most


@borrowing
def need_of_mac(job: MacJob, machine: Machine, needs: Any) -> None:
    """Raise ``needs`` to what the slots of the largest tile of a block take."""
    layer, tile = job.layer, job.tile
    one = Loops(
        min(tile.n, layer.n), min(tile.oh, layer.oh), min(tile.ow, layer.ow), min(tile.oc, layer.oc), min(tile.ic, layer.ic),
        min(tile.kh, layer.kh), min(tile.kw, layer.kw), min(tile.groups, layer.groups),
    )  # fmt: skip
    area = one.n * _most_under(job.down, one.oh, one.kh) * _most_under(job.across, one.ow, one.kw)
    size = footprint(machine.operands, machine.im2col, one, area)
    weights, held = banks_taken(machine.capacity, size.weights, size.held)
    needs[0], needs[1] = max(needs[0], weights), max(needs[1], held)


@borrowing
def need_of_vector(elements: Any, bits: Any, capacity: Capacity, needs: Any) -> None:
    """Raise ``needs`` to what the slots of the largest tile of a vector layer take: ``elements`` of operand ``k`` of tile ``t`` stand at
    ``k * tiles + t``, of ``bits[k]`` each."""
    most, tiles = 0, len(elements) // len(bits)
    for t in range(tiles):
        held = 0
        for k in range(len(bits)):
            held += packed_bytes(elements[k * tiles + t], bits[k])
        most = max(most, held)
    needs[0], needs[1] = max(needs[0], 0), max(needs[1], banks_taken(capacity, 0, most)[1])


@borrowing
def divide_banks(needs: Any, banks: int, division: Any) -> None:
    """Write into ``division`` the banks of weights of every layer: as few as they need, the same for as many layers in a row as fit.

    Layer after layer the numbers that suit all since the last change are intersected; where none is left the division changes. No
    sequence of divisions that fit changes less often.
    """
    begin, low, high, count = 0, 0, banks, len(needs)
    for index in range(count + 1):
        if index < count:
            if needs[index, 0] == NONE:
                continue
            least, most = needs[index, 0], banks - needs[index, 1]
            if max(low, least) <= min(high, most):
                low, high = max(low, least), min(high, most)
                continue
        for k in range(begin, index):
            division[k] = low
        if index < count:
            begin, low, high = index, needs[index, 0], banks - needs[index, 1]


@borrowing
def change_division(consumers: Any) -> None:
    """Of one core (memories, CONSUMERS), of two slots or one each: the next fills of both memories wait for all that read until now.

    Activations are read by whatever reads a tile, and every fill waits for the reader of the one before the last or of the last, so that
    all are done when the two last readers are. A core that has filled nothing since another change waits as it did.
    """
    last, before = consumers[ACTIVATIONS, 0], consumers[ACTIVATIONS, 1]
    if last == NONE or consumers[ACTIVATIONS, FILLS] == 2:
        return
    for memory in (WEIGHTS, ACTIVATIONS):
        consumers[memory, 0] = consumers[memory, 1] = last
        consumers[memory, BEHIND], consumers[memory, FILLS] = before, 2


@tiered(lambda job, *rest: parts_of(job))
def mac_needs(job: MacJob, machine: Machine, needs: Any) -> None:
    """:func:`need_of_mac` for Python."""
    need_of_mac(job, machine, needs)


def parts_of(job: MacJob) -> int:
    """Steps of the interpreter, or so."""
    return int(job.layer.oh * job.layer.kh + job.layer.ow * job.layer.kw)


@tiered(lambda elements, *rest: len(elements))
def vector_needs(elements: Any, bits: Any, capacity: Capacity, needs: Any) -> None:
    """:func:`need_of_vector` for Python."""
    need_of_vector(elements, bits, capacity, needs)


@tiered(lambda needs, *rest: len(needs))
def divisions(needs: Any, banks: int, division: Any) -> None:
    """:func:`divide_banks` for Python."""
    divide_banks(needs, banks, division)


@tiered(lambda consumers: len(consumers))
def change_divisions(consumers: Any) -> None:
    """:func:`change_division` of all cores."""
    for core in range(len(consumers)):
        change_division(consumers[core])
