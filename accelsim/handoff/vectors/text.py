"""Numbers as text that simulators and compilers read, fixed in width, so that a file's size follows from its shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HEX_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
NEWLINE, SPACE, MINUS, COMMA, ZERO = b"\n -,0"
PER_LINE = 16
"""Numbers on a line of a C array."""


def patterns(values: NDArray[Any], bits: int) -> NDArray[np.uint64]:
    """The low ``bits`` of integers in two's complement, or the IEEE bits of floats; uint64, flat."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype.kind == "f":
        return flat.view(np.uint32 if flat.dtype.itemsize == 4 else np.uint64).astype(np.uint64)
    mask = np.uint64((1 << bits) - 1)
    words: NDArray[np.uint64] = flat.astype(np.int64).view(np.uint64) & mask
    return words


def hex_digits(bits: int) -> int:
    """Digits of one element."""
    return -(-bits // 4)


def hex_lines(values: NDArray[Any], bits: int) -> bytes:
    """``$readmemh``: one element a line, the low ``bits``, in as many digits as these need."""
    digits = hex_digits(bits)
    shifts = np.arange(4 * (digits - 1), -1, -4, dtype=np.uint64)
    nibbles = (patterns(values, bits)[:, None] >> shifts) & np.uint64(15)
    lines = np.full((len(nibbles), digits + 1), NEWLINE, dtype=np.uint8)
    lines[:, :-1] = HEX_DIGITS[nibbles.astype(np.intp)]
    return lines.tobytes()


def number_width(bits: int, signed: bool, kind: str) -> int:
    """Characters of the longest number of a C array, its comma apart."""
    if kind == "float":
        return 2 + bits // 4
    return max(len(str(-(1 << (bits - 1)))), 1) if signed else len(str((1 << bits) - 1))


def c_numbers(values: NDArray[Any], bits: int, signed: bool) -> bytes:
    """Numbers right-aligned, each behind a space and before a comma; of floats the IEEE bits in hexadecimal."""
    if values.dtype.kind == "f":
        digits = hex_lines(values, bits)
        width = bits // 4 + 1
        lines = np.frombuffer(digits, dtype=np.uint8).reshape(-1, width)[:, :-1]
        framed = np.empty((len(lines), width + 3), dtype=np.uint8)
        framed[:, :3], framed[:, 3:-1], framed[:, -1] = np.frombuffer(b" 0x", dtype=np.uint8), lines, COMMA
        return framed.tobytes()
    flat = np.ascontiguousarray(values).reshape(-1).astype(np.int64)
    width = number_width(bits, signed, "integer")
    cells = np.full((len(flat), width + 2), SPACE, dtype=np.uint8)
    cells[:, -1] = COMMA
    rest = np.where(flat < 0, -flat, flat).view(
        np.uint64
    )  # the least int64 is its own negative: its pattern is its magnitude
    sign_at = np.full(len(flat), width, dtype=np.int64)
    for place in range(width, 0, -1):
        shown = (rest > 0) | (place == width)
        cells[:, place] = np.where(shown, ZERO + (rest % np.uint64(10)).astype(np.uint8), SPACE)
        sign_at = np.where(shown, place - 1, sign_at)
        rest = rest // np.uint64(10)
    negative = np.flatnonzero(flat < 0)
    cells[negative, sign_at[negative]] = MINUS
    return cells.tobytes()


def parse_hex(text: bytes, where: str) -> NDArray[np.uint64]:
    """Words of a ``$readmemh`` file, uint64: comments, ``_`` and ``@address`` as simulators read and write them; ValueError, saying
    where, for what is no word, such as the x of a net that was never driven."""
    uniform = _uniform(text)
    if uniform is not None:
        return uniform
    plain = text if b"//" not in text else b"\n".join(line.partition(b"//")[0] for line in text.split(b"\n"))
    tokens = plain.replace(b"_", b"").split()
    if any(token.startswith(b"@") for token in tokens):
        tokens = _placed(tokens, where)
    try:
        return np.array([int(token, 16) for token in tokens], dtype=np.uint64)
    except (ValueError, OverflowError):
        number, wrong = next((i, t) for i, t in enumerate(tokens) if not _is_word(t))
        shown = wrong[:20].decode("ascii", "replace")
        raise ValueError(f"{where}: word {number} is {shown!r}, no number of 64 bits in hexadecimal") from None


_VALUES = np.full(256, 255, dtype=np.uint8)
_VALUES[HEX_DIGITS] = _VALUES[np.frombuffer(b"0123456789ABCDEF", dtype=np.uint8)] = np.arange(16)


def _uniform(text: bytes) -> NDArray[np.uint64] | None:
    """Words of lines that are all as long, of nothing but digits, as :func:`hex_lines` writes them; None of any other text."""
    width = text.find(b"\n")
    if not 1 <= width <= 16 or len(text) % (width + 1):
        return None
    lines = np.frombuffer(text, dtype=np.uint8).reshape(-1, width + 1)
    digits = _VALUES[lines[:, :-1]]
    if (lines[:, -1] != NEWLINE).any() or (digits == 255).any():
        return None
    words = np.zeros(len(lines), dtype=np.uint64)
    for column in digits.T:
        words = (words << np.uint64(4)) | column
    return words


def _is_word(token: bytes) -> bool:
    try:
        return 0 <= int(token, 16) < 1 << 64
    except ValueError:
        return False


def _placed(tokens: list[bytes], where: str) -> list[bytes]:
    """Words by their addresses, which must leave none out."""
    found: dict[int, bytes] = {}
    at = 0
    for token in tokens:
        if token.startswith(b"@"):
            at = int(token[1:], 16)
            continue
        found[at] = token
        at += 1
    if sorted(found) != list(range(len(found))):
        raise ValueError(f"{where}: its addresses leave words out")
    return [found[i] for i in range(len(found))]
