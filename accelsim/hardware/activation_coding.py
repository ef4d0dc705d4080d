"""How activations stand outside the chip where runs of zeros are coded, and how long they are expected to be.

**Run-length coding**, as Eyeriss codes activations on their way to and from DRAM (Chen, Krishna, Emer, Sze, JSSC 52(1), 2017): pairs of a
run of up to 31 zeros in 5 bits and the value behind it, packed into words of 64 bits, the last bit of which says whether the word is
the code's last. Eyeriss' values have 16 bits, so that a word has three pairs; of values of ``b`` bits it has ``floor(63 / (5 + b))``.
Behind a run of 31 zeros any value follows, 0 too. Where the values end in zeros the last pair has one of them as its value. The first
pair stands in the low bits of a word, the run below the value; places of the last word that are left are 0, and the reader, who knows
the number of values, passes over them.

Bytes are not known before there is data. Of values that are 0 with the probability ``z``, independent of each other, a pair stands for

    E[N] = sum of P(N > k) over k from 0 to 31 = sum of z^k = (1 - z^32) / (1 - z)

values, 32 where ``z`` is 1; so the code of a long row takes, by the elementary renewal theorem,

    share = 64 / (floor(63 / (5 + b)) b E[N])

of their own bits, rounded up to 1024ths, and 1 where that is no gain. What a transfer of activations moves, bursts and padding included, is that
share of what it would move of them as they are: each code is taken to be cut where tiles are.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch, StreamName

Index = NDArray[np.int64]
RUN_BITS, WORD_BITS = 5, 64
"""Of Eyeriss."""
LONGEST_RUN = 2**RUN_BITS - 1
STEPS = 1024
"""A share is a whole number of as many parts, so that cycles stay whole numbers' work."""


def pairs_per_word(bits: int) -> int:
    """Pairs of a run and a value of ``bits`` in a word, beside its last bit."""
    return (WORD_BITS - 1) // (RUN_BITS + bits)


def values_per_pair(zeros: float) -> float:
    """Values that a pair stands for on average, of which a share of ``zeros`` is 0."""
    return float(sum(zeros**k for k in range(LONGEST_RUN + 1)))


def run_length_share(zeros: float, bits: int) -> float:
    """Expected bits of the code of many values over their own ``bits``, more than 1 where the code is longer."""
    return WORD_BITS / (pairs_per_word(bits) * bits * values_per_pair(zeros))


def activation_share(arch: Arch, stream: StreamName = "activations") -> Fraction:
    """The share of the bytes of a ``stream`` that pass its port: 1 of weights, and where activations are not coded."""
    if arch.dma.activation_compression is None or stream == "weights":
        return Fraction(1)
    share = run_length_share(arch.dma.activation_zeros, arch.array.activation_bits)
    return min(Fraction(1), Fraction(int(np.ceil(STEPS * share)), STEPS))


def run_length_code(values: Index, bits: int) -> NDArray[np.uint64]:
    """The words of the code of ``values`` (n,), integers from 0 on of ``bits`` each; at least one word."""
    places = np.flatnonzero(values)
    before = np.diff(places, prepend=-1) - 1
    left = len(values) - 1 - (int(places[-1]) if len(places) else -1)
    runs, levels = _pairs(before, values[places])
    full, rest = divmod(left, LONGEST_RUN + 1)
    runs = np.concatenate([runs, np.full(full, LONGEST_RUN), np.full(int(rest > 0), rest - 1)])
    levels = np.concatenate([levels, np.zeros(full + int(rest > 0), dtype=np.int64)])
    each = pairs_per_word(bits)
    fields = np.zeros((max(1, -(-len(runs) // each)), each), dtype=np.uint64)
    fields.reshape(-1)[: len(runs)] = (runs | levels << RUN_BITS).astype(np.uint64)
    words: NDArray[np.uint64] = np.bitwise_or.reduce(fields << _shifts(bits), axis=1)
    words[-1] |= np.uint64(1) << np.uint64(WORD_BITS - 1)
    return words


def _pairs(before: Index, levels: Index) -> tuple[Index, Index]:
    """Runs and values, of values other than 0 with so many zeros before them."""
    full = before // (LONGEST_RUN + 1)
    ends = np.cumsum(full + 1)
    count = int(ends[-1]) if len(ends) else 0
    runs, found = np.full(count, LONGEST_RUN, dtype=np.int64), np.zeros(count, dtype=np.int64)
    runs[ends - 1], found[ends - 1] = before - full * (LONGEST_RUN + 1), levels
    return runs, found


def run_length_values(words: NDArray[np.uint64], count: int, bits: int) -> Index:
    """The inverse of :func:`run_length_code`: ``count`` values, int64."""
    fields = (words[:, None] >> _shifts(bits)).reshape(-1)
    runs = (fields & np.uint64(LONGEST_RUN)).astype(np.int64)
    levels = (fields >> np.uint64(RUN_BITS) & np.uint64(2**bits - 1)).astype(np.int64)
    at = np.cumsum(runs + 1) - 1
    values, inside = np.zeros(count, dtype=np.int64), at < count
    values[at[inside]] = levels[inside]
    return values


def _shifts(bits: int) -> NDArray[np.uint64]:
    """Places of the pairs of a word."""
    return np.arange(pairs_per_word(bits), dtype=np.uint64) * np.uint64(RUN_BITS + bits)
