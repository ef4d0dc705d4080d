"""Numba kernels of the codes of weights: how long tiles get, and the bits of one tile in Golomb-Rice code, written and read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware.kinds import LONGEST
from accelsim.numba_cache import njit

BLOCK = 256
"""Weights that share parameters: of 128 to 1024, about as short as any on MLPerf Tiny's networks."""
RUN_PARAMETERS, RUN_BITS = 8, 9
"""Rice parameters of runs, in three bits, and bits of a run of at most ``BLOCK`` zeros behind an escape."""
MOST_BITS = 40
"""Parameters that are looked at, more than any symbol has bits."""


class Block(NamedTuple):
    """How a block is coded: Rice parameter of its symbols (their width: as they are), that of its runs of zeros (-1: none), and the bits
    of it all."""

    parameter: Any
    runs: Any
    bits: Any


@njit
def count_pairs(weights: Any, lo: Any, hi: Any, run_bits: int) -> Any:
    """Pairs (zeros before, weight) of each box of ``weights``, int64 of shape (boxes,)."""
    pairs = np.zeros(len(lo), dtype=np.int64)
    for i in range(len(lo)):
        zeros = 0
        for o in range(lo[i, 0], hi[i, 0]):
            for y in range(lo[i, 1], hi[i, 1]):
                for x in range(lo[i, 2], hi[i, 2]):
                    for c in range(lo[i, 3], hi[i, 3]):
                        if weights[o, y, x, c] == 0:
                            zeros += 1
                        else:
                            # A run longer than its field is broken by pairs that stand for 2^run_bits zeros each.
                            pairs[i] += 1 + (zeros >> run_bits)
                            zeros = 0
    return pairs


@njit
def width_of(number: int) -> int:
    """Bits of ``number``, 0 of 0."""
    bits = 0
    while number >> bits > 0:
        bits += 1
    return bits


@njit
def rice_length(symbol: int, parameter: int, width: int) -> int:
    """Bits of the code of ``symbol``, which has ``width`` bits at most."""
    quotient = symbol >> parameter
    return quotient + 1 + parameter if quotient < LONGEST else LONGEST + width


@njit
def _best(lengths: Any, count: int) -> int:
    best = 0
    for k in range(1, count):
        if lengths[k] < lengths[best]:
            best = k
    return best


@njit
def plan_block(symbols: Any, start: int, stop: int, width: int) -> Block:
    """The shortest way to code ``symbols[start:stop]``: their Rice code, that of runs of zeros and what is behind them, or as they are."""
    dense, behind = np.zeros(MOST_BITS, dtype=np.int64), np.zeros(MOST_BITS, dtype=np.int64)
    runs = np.zeros(RUN_PARAMETERS, dtype=np.int64)
    zeros = 0
    for i in range(start, stop):
        symbol = symbols[i]
        for k in range(width):
            dense[k] += rice_length(symbol, k, width)
        if symbol == 0:
            zeros += 1
            continue
        for k in range(width):
            behind[k] += rice_length(symbol - 1, k, width)
        for z in range(RUN_PARAMETERS):
            runs[z] += rice_length(zeros, z, RUN_BITS)
        zeros = 0
    if zeros > 0:  # what is left of the block
        for z in range(RUN_PARAMETERS):
            runs[z] += rice_length(zeros, z, RUN_BITS)
    head = width_of(width)
    k, kr, z = _best(dense, width), _best(behind, width), _best(runs, RUN_PARAMETERS)
    found = Block(width, -1, head + (stop - start) * width)
    if head + 1 + dense[k] < found.bits:
        found = Block(k, -1, head + 1 + dense[k])
    if head + 4 + behind[kr] + runs[z] < found.bits:
        found = Block(kr, z, head + 4 + behind[kr] + runs[z])
    return found


@njit
def count_rice(symbols: Any, lo: Any, hi: Any, width: int) -> Any:
    """Bits of each box of ``symbols`` (4 axes) in Golomb-Rice code, int64 of shape (boxes,)."""
    bits, row = np.zeros(len(lo), dtype=np.int64), np.zeros(BLOCK, dtype=np.int64)
    for i in range(len(lo)):
        held = 0
        for o in range(lo[i, 0], hi[i, 0]):
            for y in range(lo[i, 1], hi[i, 1]):
                for x in range(lo[i, 2], hi[i, 2]):
                    for c in range(lo[i, 3], hi[i, 3]):
                        row[held] = symbols[o, y, x, c]
                        held += 1
                        if held == BLOCK:
                            bits[i] += plan_block(row, 0, held, width).bits
                            held = 0
        if held > 0:
            bits[i] += plan_block(row, 0, held, width).bits
    return bits


@njit
def _put(out: Any, at: int, value: int, bits: int) -> int:
    """Write the low ``bits`` of ``value`` from bit ``at`` on, least first; where the next ones go."""
    for i in range(bits):
        out[at + i] = value >> i & 1
    return at + bits


@njit
def _put_rice(out: Any, at: int, code: tuple[int, int, int]) -> int:
    symbol, parameter, width = code
    quotient = symbol >> parameter
    if quotient < LONGEST:
        at = _put(out, at, (1 << quotient) - 1, quotient + 1)
        return _put(out, at, symbol, parameter)
    at = _put(out, at, (1 << LONGEST) - 1, LONGEST)
    return _put(out, at, symbol, width)


@njit
def write_rice(symbols: Any, width: int, length: int) -> Any:
    """The ``length`` bits of the code of ``symbols``, uint8 of shape (length,)."""
    out = np.zeros(length, dtype=np.uint8)
    at = 0
    for start in range(0, len(symbols), BLOCK):
        stop = min(start + BLOCK, len(symbols))
        block = plan_block(symbols, start, stop, width)
        at = _put(out, at, block.parameter, width_of(width))
        if block.parameter == width:
            for i in range(start, stop):
                at = _put(out, at, symbols[i], width)
            continue
        at = _put(out, at, 1 if block.runs >= 0 else 0, 1)
        if block.runs >= 0:
            at = _put(out, at, block.runs, 3)
        zeros = 0
        for i in range(start, stop):
            symbol = symbols[i]
            if block.runs < 0:
                at = _put_rice(out, at, (symbol, block.parameter, width))
            elif symbol == 0:
                zeros += 1
            else:
                at = _put_rice(out, at, (zeros, block.runs, RUN_BITS))
                at = _put_rice(out, at, (symbol - 1, block.parameter, width))
                zeros = 0
        if zeros > 0:
            at = _put_rice(out, at, (zeros, block.runs, RUN_BITS))
    return out


@njit
def _take(code: Any, at: int, bits: int) -> tuple[int, int]:
    """The number in ``bits`` bits from bit ``at`` on, and where the next ones are."""
    value = 0
    for i in range(bits):
        value |= (1 if code[at + i] else 0) << i
    return value, at + bits


@njit
def _take_rice(code: Any, at: int, parameter: int, width: int) -> tuple[int, int]:
    quotient = 0
    while quotient < LONGEST and code[at + quotient] == 1:
        quotient += 1
    if quotient == LONGEST:
        return _take(code, at + LONGEST, width)
    low, at = _take(code, at + quotient + 1, parameter)
    return (quotient << parameter) | low, at


@njit
def read_rice(code: Any, count: int, width: int) -> Any:
    """The ``count`` symbols of a code, bits of uint8, int64 of shape (count,)."""
    found = np.zeros(count, dtype=np.int64)
    at = 0
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        parameter, at = _take(code, at, width_of(width))
        if parameter == width:
            for i in range(start, stop):
                found[i], at = _take(code, at, width)
            continue
        has_runs, at = _take(code, at, 1)
        if has_runs == 0:
            for i in range(start, stop):
                found[i], at = _take_rice(code, at, parameter, width)
            continue
        runs, at = _take(code, at, 3)
        i = start
        while i < stop:
            zeros, at = _take_rice(code, at, runs, RUN_BITS)
            i += zeros
            if i < stop:
                symbol, at = _take_rice(code, at, parameter, width)
                found[i] = symbol + 1
                i += 1
    return found
