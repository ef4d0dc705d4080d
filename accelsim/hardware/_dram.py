"""Numba kernel of DRAM transfers: the bursts under a box of a packed row-major tensor, and the commands that move them.

The commands of one transfer keep the least distances of the standard, every bank closed before and after it. Burst ``b`` stands in
bank group ``b % groups``, then come columns, banks and rows. Column commands are issued in address order; rows are opened in the
order in which they are needed, each as soon as its bank is done with the row before:

    ACT = max(last ACT + nRRDS, last ACT of the group + nRRDL, fourth last ACT + nFAW, PRE of the bank + nRP)
    RD/WR = max(ACT of the bank + nRCD, last RD/WR + max(nBL, nCCDS), last of the group + max(nBL, nCCDL))
    PRE = max(ACT of the bank + nRAS, last RD of the bank + nRTP | last WR of the bank + nCWL + nBL + nWR)

and the transfer ends when its data has passed and all banks are closed again (last PRE + nRP).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.graph.compiled import input_on
from accelsim.hardware.parts import Dram
from accelsim.numba_cache import njit

LONG_AGO = -(2**40)
WINDOW = 4
"""Activations that nFAW counts."""
LAST_COLUMN, ACTS, FIRST_ACT = range(3)
"""Places in ``Banks.commands``: the last column command, the number of ACTs, and the first of the last WINDOW of them."""
LAST_ACT, LAST_OF_GROUP = range(2)
"""Rows of ``Banks.groups``: a bank group's last ACT and its last column command."""
BURSTS, CLOCKS, ACTIVATES = range(3)
"""Rows of what is found of each transfer."""


class Banks(NamedTuple):
    """What a transfer has done so far: per bank the open ``row`` (-1: none), its ACT (``opened``) and the last column command
    (``used``); per group and in all the last commands."""

    row: Any
    opened: Any
    used: Any
    groups: Any
    commands: Any


@njit
def _banks(d: Dram) -> Banks:
    """Banks of a channel, not yet closed."""
    count = d.groups * d.banks
    row, opened, used = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    return Banks(row, opened, used, np.empty((2, d.groups), np.int64), np.empty(FIRST_ACT + WINDOW, np.int64))


@njit
def _close_all(banks: Banks) -> None:
    """Before a transfer: every bank closed, long ago."""
    banks.row[:] = -1
    banks.opened[:], banks.used[:], banks.groups[:], banks.commands[:] = LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO
    banks.commands[ACTS] = 0


@njit
def _closed(d: Dram, banks: Banks, bank: int, close: int) -> int:
    """When the row of ``bank`` is closed and another can be opened."""
    closed: int = max(banks.opened[bank] + d.ras, banks.used[bank] + close) + d.rp
    return closed


@njit
def _burst(d: Dram, banks: Banks, b: int, close: int) -> int:
    """Issue the commands of DRAM burst ``b``; 1 where a row was opened."""
    g, rest = b % d.groups, b // d.groups // d.columns
    bank, wanted, opens = g * d.banks + rest % d.banks, rest // d.banks, 0
    groups, commands = banks.groups, banks.commands
    if banks.row[bank] != wanted:
        acts = commands[ACTS]  # the last WINDOW stand in a ring: the place of the next holds the fourth last
        at = max(0, groups[LAST_ACT, g] + d.rrd_l, commands[FIRST_ACT + acts % WINDOW] + d.faw)
        at = max(at, commands[FIRST_ACT + (acts - 1) % WINDOW] + d.rrd_s)
        if banks.row[bank] >= 0:
            at = max(at, _closed(d, banks, bank, close))
        banks.row[bank], banks.opened[bank], banks.used[bank], groups[LAST_ACT, g] = wanted, at, LONG_AGO, at
        commands[FIRST_ACT + acts % WINDOW] = at
        commands[ACTS] = acts + 1
        opens = 1
    at = max(banks.opened[bank] + d.rcd, commands[LAST_COLUMN] + max(d.bl, d.ccd_s))
    at = max(at, groups[LAST_OF_GROUP, g] + max(d.bl, d.ccd_l))
    banks.used[bank], groups[LAST_OF_GROUP, g], commands[LAST_COLUMN] = at, at, at
    return opens


@njit
def _finished(d: Dram, banks: Banks, close: int) -> int:
    """Clocks until the data of the last column command has passed and all banks are closed."""
    end = banks.commands[LAST_COLUMN] + d.bl
    for bank in range(len(banks.row)):
        if banks.row[bank] >= 0:
            end = max(end, _closed(d, banks, bank, close))
    return int(end)


@njit
def _runs(lo: Any, hi: Any, shape: Any) -> Any:
    """(axes to step over, elements of a run): the inner axes that a box spans whole, and the one before them, are one run."""
    outer, run = len(shape), 1
    while outer > 0:
        outer -= 1
        run *= hi[outer] - lo[outer]
        if hi[outer] - lo[outer] != shape[outer]:
            break
    return outer, run


@njit
def transfers(d: Dram, write: bool, base: Any, bits: int, lo: Any, hi: Any, shape: Any) -> Any:
    """int64 (3, boxes): bursts at the port, DRAM clocks, activations of moving each box of elements of ``bits`` each.

    ``base``: first bit of the tensor, per box. A burst that ends one run and begins the next is moved once.
    """
    boxes, rank = lo.shape
    found = np.zeros((3, boxes), dtype=np.int64)
    close = d.close_write if write else d.close_read
    banks, at = _banks(d), np.zeros(rank + 1, dtype=np.int64)
    for i in range(boxes):
        _close_all(banks)
        outer, run = _runs(lo[i], hi[i], shape)
        count = 1 if run > 0 else 0
        for k in range(outer):
            at[k] = lo[i, k]
            count *= hi[i, k] - lo[i, k]
        done = -1
        for _ in range(count):
            start = 0
            for k in range(rank):
                start = start * shape[k] + (at[k] if k < outer else lo[i, k])
            # Runs ascend in memory, so only the burst moved last can hold the beginning of the next run too.
            first = max(done + 1, (base[i] + start * bits) // d.burst)
            done = (base[i] + (start + run) * bits - 1) // d.burst
            found[BURSTS, i] += done + 1 - first
            for b in range(first * d.units, (done + 1) * d.units):
                found[ACTIVATES, i] += _burst(d, banks, b, close)
            k = outer - 1  # to the next run: an odometer over the outer axes
            while k >= 0:
                at[k] += 1
                if at[k] < hi[i, k]:
                    break
                at[k] = lo[i, k]
                k -= 1
        if d.units > 0 and count > 0:
            found[CLOCKS, i] = _finished(d, banks, close)
    return found


@njit
def gathers(d: Dram, base: int, bits: int, shape: Any, rows: Any, columns: Any, ranges: Any) -> Any:
    """int64 (3, tiles): bursts at the port, DRAM clocks, activations of fetching the windows of each tile.

    ``base``: first bit of the tensor (n, ih, iw, ic) = ``shape``; ``rows`` and ``columns``: the :class:`accelsim.graph.Axis` of
    each; ``ranges`` (tiles, 12) as of :class:`accelsim.hardware.im2col.Windows`. Taps are fetched
    in the order of the matrix, the channels of each at once; taps that follow each other in memory share a burst, so that no more
    bytes are asked for than moved. Each command as early as in :func:`transfers`, columns in that order.
    """
    tiles = len(ranges)
    found = np.zeros((3, tiles), dtype=np.int64)
    banks = _banks(d)
    for i in range(tiles):
        _close_all(banks)
        done = end = -1
        n0, n1, y0, y1, x0, x1, ky0, ky1, kx0, kx1, c0, c1 = ranges[i]
        for n in range(n0, n1):
            for y in range(y0, y1):
                for x in range(x0, x1):
                    for ky in range(ky0, ky1):
                        row = input_on(rows, y, ky)
                        for kx in range(kx0, kx1):
                            column = input_on(columns, x, kx)
                            if row < 0 or column < 0:
                                continue
                            pixel = (n * shape[1] + row) * shape[2] + column
                            begin = base + (pixel * shape[3] + c0) * bits
                            first = begin // d.burst
                            # The burst of the tap before is still there for what follows it in memory, not for an overlap.
                            if first == done and begin >= end:
                                first += 1
                            end = base + (pixel * shape[3] + c1) * bits
                            done = (end - 1) // d.burst
                            found[BURSTS, i] += done + 1 - first
                            for b in range(first * d.units, (done + 1) * d.units):
                                found[ACTIVATES, i] += _burst(d, banks, b, d.close_read)
        if d.units > 0 and done >= 0:
            found[CLOCKS, i] = _finished(d, banks, d.close_read)
    return found
