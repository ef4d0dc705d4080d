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

from typing import Any

import numpy as np

from accelsim.numba_cache import njit

(BURST, UNITS, GROUPS, BANKS, COLUMNS, BL, RCD, RP, RAS, CLOSE_READ, CLOSE_WRITE, CCDS, CCDL, RRDS, RRDL, FAW) = range(
    16
)
RECORD = 16
"""Places in the int64 record of a machine's DRAM: bits of a burst at the port, DRAM bursts in it (0: no row buffers), bank groups,
banks of a group, bursts of a row, nBL, and the distances in clocks; CLOSE_*: from a column command to the PRE of its bank."""
LONG_AGO = -(2**40)
WINDOW = 4
"""Activations that nFAW counts."""


@njit
def _closed(d: Any, bank: int, opened: Any, used: Any, close: int) -> int:
    """When the row of ``bank`` is closed and another can be opened."""
    closed: int = max(opened[bank] + d[RAS], used[bank] + close) + d[RP]
    return closed


@njit
def _burst(d: Any, b: int, close: int, row: Any, opened: Any, used: Any, group: Any, last: Any) -> int:
    """Issue the commands of DRAM burst ``b``; 1 where a row was opened.

    ``row``, ``opened``, ``used`` per bank: open row (-1: none), its ACT, the last column command. ``group`` (2, groups): last ACT
    and last column command; ``last``: last column command, number of ACTs, the last WINDOW of them.
    """
    g, rest = b % d[GROUPS], b // d[GROUPS] // d[COLUMNS]
    bank, wanted, hit = g * d[BANKS] + rest % d[BANKS], rest // d[BANKS], 0
    if row[bank] != wanted:
        acts = last[1]
        at = max(0, group[0, g] + d[RRDL], last[2 + acts % WINDOW] + d[FAW])
        at = max(at, last[2 + (acts - 1) % WINDOW] + d[RRDS])
        if row[bank] >= 0:
            at = max(at, _closed(d, bank, opened, used, close))
        row[bank], opened[bank], used[bank], group[0, g] = wanted, at, LONG_AGO, at
        last[2 + acts % WINDOW] = at
        last[1] = acts + 1
        hit = 1
    at = max(opened[bank] + d[RCD], last[0] + max(d[BL], d[CCDS]), group[1, g] + max(d[BL], d[CCDL]))
    used[bank], group[1, g], last[0] = at, at, at
    return hit


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
def transfers(d: Any, write: bool, base: Any, bits: int, lo: Any, hi: Any, shape: Any) -> Any:
    """int64 (3, boxes): bursts at the port, DRAM clocks, activations of moving each box of elements of ``bits`` each.

    ``base``: first bit of the tensor, per box. A burst that ends one run and begins the next is moved once.
    """
    boxes, rank = lo.shape
    found = np.zeros((3, boxes), dtype=np.int64)
    close = d[CLOSE_WRITE] if write else d[CLOSE_READ]
    row, opened = np.empty(d[GROUPS] * d[BANKS], dtype=np.int64), np.empty(d[GROUPS] * d[BANKS], dtype=np.int64)
    used, group = np.empty_like(row), np.empty((2, d[GROUPS]), dtype=np.int64)
    last, at = np.empty(2 + WINDOW, dtype=np.int64), np.zeros(rank + 1, dtype=np.int64)
    for i in range(boxes):
        row[:], opened[:], used[:], group[:], last[:] = -1, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO
        last[1] = 0
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
            first = max(done + 1, (base[i] + start * bits) // d[BURST])
            done = (base[i] + (start + run) * bits - 1) // d[BURST]
            found[0, i] += done + 1 - first
            for b in range(first * d[UNITS], (done + 1) * d[UNITS]):
                found[2, i] += _burst(d, b, close, row, opened, used, group, last)
            k = outer - 1
            while k >= 0:
                at[k] += 1
                if at[k] < hi[i, k]:
                    break
                at[k] = lo[i, k]
                k -= 1
        if d[UNITS] > 0 and count > 0:
            found[1, i] = last[0] + d[BL]
            for bank in range(len(row)):
                if row[bank] >= 0:
                    found[1, i] = max(found[1, i], _closed(d, bank, opened, used, close))
    return found
