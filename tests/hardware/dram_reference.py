"""A DRAM channel command by command: each clock, whatever the standard's constraint table allows; no equation of accelsim's.

Constraints are rows (level, preceding, following, distance, window) as JEDEC tables and Ramulator's ``populate_timingcons`` list
them. The controller serves bursts in order: column commands in address order, rows opened in the order of first need.
"""

from __future__ import annotations

from typing import NamedTuple

from accelsim.arch.dram import DramStandard

PER_CLOCK = 64
"""More commands than any clock could use: an ideal command bus."""


class Command(NamedTuple):
    """``kind`` issued at ``clock`` to ``bank`` of ``group``."""

    clock: int
    kind: str
    group: int
    bank: int
    row: int


def constraints(standard: DramStandard) -> list[tuple[str, str, str, int, int]]:
    """(level, preceding, following, distance, window): ``following`` at least ``distance`` after the window-th last one."""
    t, length = standard.timing, standard.burst_clocks
    rows = [
        ("channel", "ACT", "ACT", t.nRRDS, 1), ("channel", "ACT", "ACT", t.nFAW, 4), ("group", "ACT", "ACT", t.nRRDL, 1),
        ("bank", "ACT", "PRE", t.nRAS, 1), ("bank", "PRE", "ACT", t.nRP, 1),
        ("bank", "RD", "PRE", t.nRTP, 1), ("bank", "WR", "PRE", t.nCWL + length + t.nWR, 1),
        # what the law never asks for, since every transfer begins and ends with closed banks:
        ("channel", "RD", "WR", t.nCL + length + 2 - t.nCWL, 1), ("channel", "WR", "RD", t.nCWL + length + 1, 1),
        ("bank", "ACT", "ACT", t.nRAS + t.nRP, 1),
    ]  # fmt: skip
    for kind in ("RD", "WR"):
        rows += [
            ("channel", kind, kind, length, 1),  # the data bus
            ("channel", kind, kind, t.nCCDS, 1),
            ("group", kind, kind, t.nCCDL, 1),
            ("bank", "ACT", kind, t.nRCD, 1),
        ]
    return rows


def legal(command: Command, issued: list[Command], table: list[tuple[str, str, str, int, int]]) -> bool:
    """Whether no constraint forbids ``command`` behind ``issued``."""
    for level, before, after, distance, window in table:
        if after != command.kind:
            continue
        same = [
            c.clock
            for c in issued
            if c.kind == before
            and (level == "channel" or c.group == command.group)
            and (level != "bank" or c.bank == command.bank)
        ]
        if len(same) >= window and same[-window] + distance > command.clock:
            return False
    return True


def place(standard: DramStandard, burst: int) -> tuple[int, int, int]:
    """(group, bank, row) of a burst: bank groups take turns, then columns, banks, rows."""
    columns = standard.row_bytes // standard.burst_bytes
    upper, group = divmod(burst, standard.bank_groups)
    row, bank = divmod(upper // columns, standard.banks_per_group)
    return group, bank, row


def serve(
    standard: DramStandard, bursts: list[int], *, write: bool, start: int = 0, per_clock: int = PER_CLOCK
) -> list[Command]:
    """The commands of one transfer from ``start`` on, precharges behind it included."""
    table, kind, places = constraints(standard), "WR" if write else "RD", [place(standard, b) for b in bursts]
    issued: list[Command] = []
    opened: dict[tuple[int, int], int] = {}
    needs: list[int] = []  # the bursts that find another row in their bank, in order
    state: dict[tuple[int, int], int] = {}
    for i, (group, bank, row) in enumerate(places):
        if state.get((group, bank)) != row:
            needs.append(i)
            state[group, bank] = row
    done, clock = 0, start
    while done < len(places) or opened:
        budget, progress = per_clock, True
        while budget and progress:
            progress = False
            for candidate in _candidates(places, done, needs, opened, kind, clock):
                if legal(candidate, issued, table):
                    issued.append(candidate)
                    where = candidate.group, candidate.bank
                    if candidate.kind == "ACT":
                        opened[where] = candidate.row
                        needs.pop(0)
                    elif candidate.kind == "PRE":
                        del opened[where]
                    else:
                        done += 1
                    budget, progress = budget - 1, True
                    break
        clock += 1
    return issued


def _candidates(
    places: list[tuple[int, int, int]],
    done: int,
    needs: list[int],
    opened: dict[tuple[int, int], int],
    kind: str,
    clock: int,
) -> list[Command]:
    """What the controller would like to do, most urgent first."""
    found = []
    if done < len(places):
        group, bank, row = places[done]
        if opened.get((group, bank)) == row and (not needs or done < needs[0]):
            found.append(Command(clock, kind, group, bank, row))
    if needs:
        group, bank, row = places[needs[0]]
        if (group, bank) not in opened:
            found.append(Command(clock, "ACT", group, bank, row))
    waiting = {(group, bank, row) for group, bank, row in places[done : needs[0] if needs else None]}
    found += [Command(clock, "PRE", *where, row) for where, row in opened.items() if (*where, row) not in waiting]
    return found


def closing_clock(standard: DramStandard, issued: list[Command]) -> int:
    """When the data has passed and all banks are closed."""
    data = max(c.clock for c in issued if c.kind in ("RD", "WR")) + standard.burst_clocks
    return max(data, max(c.clock for c in issued if c.kind == "PRE") + standard.timing.nRP)
