"""Numba loop behind :mod:`accelsim.importers.tables.bulk`: the lines of a plain table, told apart as bytes.

What it does not understand at once (a quote, white space other than blanks and tabs, a name that stands twice or that no row above
has) it leaves to :mod:`accelsim.importers.tables.wiring`, which says what is wrong, if anything is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.numba_cache import inner, njit

UNCLEAR = -1
"""In place of the number of rows."""
OPERANDS, OUTSIDE, NOT_GIVEN = 2, -1, -2
"""Most operands of a row, and sources of those that no row makes: one that is written down, and one that is not."""
TAB, NEWLINE, RETURN, BLANK, QUOTE, COMMENT, COMMA, DASH = b'\t\n\r "#,-'
_NAMED = -3
_BLOCK = 1024
"""Rows that are looked up after one another."""
_PROBES = 4096
"""Slots that are looked at for one text; where more are taken, the texts were made for it, and Python's own tables do not mind."""
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
"""FNV-1a (Fowler, Noll, Vo; IETF draft-eastlake-fnv), 64 bits."""
_HALF, _MIX = np.uint64(32), np.uint64(0xFF51AFD7ED558CCD)
"""The first multiplier of MurmurHash3's fmix64 (Appleby), between two shifts."""


class Cut(NamedTuple):
    """How lines are cut: from byte ``begin`` and line ``number`` on, with or without a last column of what a row ``reads``; none is
    longer than ``longest`` bytes."""

    begin: int
    number: int
    reads: bool
    longest: int


class Texts(NamedTuple):
    """Different texts: where each begins and ends, its hash, and ``slots`` (a power of two, -1: free) that hold their numbers."""

    begin: Any
    end: Any
    code: Any
    slots: Any


class Words(NamedTuple):
    """Of the rows of a block, (_BLOCK, OPERANDS): where the names begin and end that they read, and their hashes."""

    begin: Any
    end: Any
    code: Any


class Rows(NamedTuple):
    """Of each row the number of its ``kind``, and of each kind the ``line`` where it stands first; ``sources`` (rows, OPERANDS)."""

    kind: Any
    line: Any
    sources: Any


@njit
def unclear(data: Any) -> Any:
    """Bytes (uint8) that may not be understood: quotes, what ends a line or is white space but for line feeds, blanks and tabs."""
    found = 0
    for at in range(data.size):  # without branches, so that many bytes are looked at at once
        byte = data[at]
        control = (byte < BLANK) & (byte != NEWLINE) & (byte != TAB)
        found += control | (byte == QUOTE) | (byte == 0xC2) | ((byte >= 0xE1) & (byte <= 0xE3))
    return found


@njit
def clear(data: Any) -> Any:
    """Whether all bytes that :func:`unclear` counts are understood for what follows them."""
    for at in range(data.size):
        byte = data[at]
        follows = data[at + 1] if at + 1 < data.size else np.uint8(NEWLINE)
        if byte == RETURN:
            good = follows == NEWLINE
        elif byte == 0xC2:  # U+0085 and U+00A0
            good = follows != 0x85 and follows != 0xA0
        elif byte == 0xE1:  # U+1680
            good = follows != 0x9A
        elif byte == 0xE2:  # U+2000 to U+206F
            good = follows != 0x80 and follows != 0x81
        elif byte == 0xE3:  # U+3000
            good = follows != 0x80
        else:
            good = byte in (NEWLINE, TAB) or (byte >= BLANK and byte != QUOTE)
        if not good:
            return False
    return True


@inner
def _next(data: Any, byte: int, begin: int, end: int) -> Any:
    while begin < end and data[begin] != byte:
        begin += 1
    return begin


@inner
def _last(data: Any, byte: int, begin: int, end: int) -> Any:
    while begin < end and data[end - 1] != byte:
        end -= 1
    return end - 1


@inner
def _code(data: Any, begin: int, end: int) -> Any:
    code = _BASIS
    for at in range(begin, end):
        code = (code ^ np.uint64(data[at])) * _PRIME
    code = (code ^ (code >> _HALF)) * _MIX  # alike names would lie side by side
    return code ^ (code >> _HALF)


@inner
def _is_blank(byte: int) -> Any:
    return byte in (BLANK, TAB, RETURN)


@inner
def _behind_blanks(data: Any, begin: int, end: int) -> Any:
    while begin < end and _is_blank(data[begin]):
        begin += 1
    return begin


@inner
def _before_blanks(data: Any, begin: int, end: int) -> Any:
    while begin < end and _is_blank(data[end - 1]):
        end -= 1
    return end


@inner
def _word_end(data: Any, begin: int, end: int) -> Any:
    while begin < end and not _is_blank(data[begin]):
        begin += 1
    return begin


@inner
def _slot(data: Any, begin: int, end: int, code: Any, texts: Texts) -> Any:
    """The slot of the text, a free one if it is new; UNCLEAR where it is not found soon."""
    mask = texts.slots.size - 1
    slot = np.int64(code & np.uint64(mask))
    for _ in range(_PROBES):
        held = texts.slots[slot]
        if held < 0:
            return slot
        if texts.code[held] == code and texts.end[held] - texts.begin[held] == end - begin:
            at = 0
            while at < end - begin and data[begin + at] == data[texts.begin[held] + at]:
                at += 1
            if at == end - begin:
                return slot
        slot = (slot + 1) & mask
    return np.int64(UNCLEAR)


@inner
def _kind(data: Any, begin: int, end: int, kinds: Texts, found: int) -> Any:
    """The number of the text, ``found`` if it is new; UNCLEAR."""
    code = _code(data, begin, end)
    slot = _slot(data, begin, end, code, kinds)
    if slot < 0:
        return UNCLEAR
    if kinds.slots[slot] < 0:
        kinds.slots[slot] = found
        kinds.begin[found], kinds.end[found], kinds.code[found] = begin, end, code
    return kinds.slots[slot]


@inner
def _of_row(words: Words, row: int) -> Any:
    return Words(words.begin[row], words.end[row], words.code[row])


@inner
def _words(data: Any, begin: int, end: int, words: Any, sources: Any) -> Any:
    """The words of a cell, operands from outside told at once; False where there are too many."""
    sources[:] = NOT_GIVEN
    at, given = _behind_blanks(data, begin, end), 0
    while at < end:
        stop = _word_end(data, at, end)
        if given == OPERANDS:
            return False
        if stop - at == 1 and data[at] == DASH:
            sources[given] = OUTSIDE
        else:
            sources[given] = _NAMED
            words.begin[given], words.end[given], words.code[given] = at, stop, _code(data, at, stop)
        at, given = _behind_blanks(data, stop, end), given + 1
    return True


@inner
def _join(data: Any, first: int, count: int, words: Words, names: Texts, sources: Any) -> Any:
    """The rows from ``first`` to before ``count`` find what they read, and are found from then on; False where there is none, or two
    have one name."""
    for row in range(first, count):
        if sources.size:
            for at in range(OPERANDS):
                if sources[row, at] == _NAMED:
                    word = words.begin[row - first, at], words.end[row - first, at]
                    slot = _slot(data, word[0], word[1], words.code[row - first, at], names)
                    if slot < 0 or names.slots[slot] < 0:
                        return False
                    sources[row, at] = names.slots[slot]
        slot = _slot(data, names.begin[row], names.end[row], names.code[row], names)
        if slot < 0 or names.slots[slot] >= 0:
            return False
        names.slots[slot] = row
    return True


@njit
def scan(data: Any, cut: Cut, names: Texts, kinds: Texts, rows: Rows) -> Any:
    """(rows, kinds) of the lines of ``data`` (uint8), whose ``names`` and ``kinds`` (what stands between name and last column) are
    noted in the order in which they come; UNCLEAR and 0 where a line is not understood."""
    count = found = joined = 0
    at, number = cut.begin, cut.number
    many = _BLOCK if cut.reads else 0
    words = Words(
        np.empty((many, OPERANDS), np.int64),
        np.empty((many, OPERANDS), np.int64),
        np.empty((many, OPERANDS), np.uint64),
    )
    while at < data.size:
        end = _next(data, NEWLINE, at, data.size)
        begin = _behind_blanks(data, at, end)
        if begin < end and data[begin] != COMMENT:
            first = _next(data, COMMA, begin, end)
            last = _last(data, COMMA, first, end) if cut.reads else end
            if begin == first or last <= first or end - at > cut.longest:
                return UNCLEAR, 0
            if cut.reads and not _words(data, last + 1, end, _of_row(words, count - joined), rows.sources[count]):
                return UNCLEAR, 0
            stop = _before_blanks(data, begin, first)
            names.begin[count], names.end[count], names.code[count] = begin, stop, _code(data, begin, stop)
            kind = _kind(data, first + 1, last, kinds, found)
            if kind < 0:
                return UNCLEAR, 0
            if kind == found:
                rows.line[found] = number
                found += 1
            rows.kind[count] = kind
            count += 1
        at, number = end + 1, number + 1
        # Rows are looked up many at a time: what one waits for from memory, the next need not.
        if count - joined == _BLOCK or at >= data.size:
            if not _join(data, joined, count, words, names, rows.sources):
                return UNCLEAR, 0
            joined = count
    return count, found
