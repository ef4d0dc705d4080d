"""Which points of a space are tried, each by its number: all of a grid, or as many as are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import did_you_mean, short
from accelsim.errors import ConfigError

Fractions = NDArray[np.float64]
Way = Literal["grid", "random", "latin_hypercube"]
_DRAWN: tuple[Way, ...] = ("random", "latin_hypercube")
_FORMS = "expected grid, or {random: N, seed: S}, or {latin_hypercube: N, seed: S}"
MOST_DRAWN: dict[Way, int] = {"random": 10**12, "latin_hypercube": 10**7}
"""Points; a hypercube is held in memory."""
_BLOCK = 4096
"""Points drawn from one stream of random numbers, so that any of them is found without those before its block."""


@dataclass(frozen=True)
class Sample:
    """How points are chosen; ``count`` of them from ``seed``, where they are drawn."""

    way: Way = "grid"
    count: int = 0
    seed: int = 0

    def fractions(self, axes: int, start: int, stop: int) -> Fractions:
        """How far along each of so many axes the points from ``start`` to before ``stop`` lie: shape (n, axes), in [0, 1)."""
        if self.way == "latin_hypercube":
            return _latin(self.count, axes, self.seed)[start:stop]
        blocks = range(start // _BLOCK, -(-stop // _BLOCK))
        drawn = np.concatenate([_random(axes, self.seed, block) for block in blocks])
        begin = blocks.start * _BLOCK
        return drawn[start - begin : stop - begin]

    def digest(self, axes: int) -> str:
        """Of the numbers that are drawn: another version of numpy or scipy may draw others. Of the first ones, where they are random."""
        if self.way == "grid":
            return ""
        last = self.count if self.way == "latin_hypercube" else min(self.count, _BLOCK)
        return hashlib.sha256(np.ascontiguousarray(self.fractions(axes, 0, last)).tobytes()).hexdigest()


def _random(axes: int, seed: int, block: int) -> Fractions:
    return np.random.Generator(np.random.Philox(key=seed, counter=block << 128)).random((_BLOCK, axes))


@lru_cache(maxsize=1)
def _latin(count: int, axes: int, seed: int) -> Fractions:
    """The whole hypercube, 8 bytes a point and axis: each of ``count`` equal parts of every axis holds one point (McKay et al. 1979)."""
    try:
        from scipy.stats import qmc
    except ImportError as error:
        raise ConfigError("sample: latin_hypercube needs scipy: pip install 'accelsim[explore]'") from error
    rng: Any = np.random.default_rng(seed)
    try:
        sampler = qmc.LatinHypercube(axes, rng=rng)
    except TypeError:  # scipy before 1.15
        sampler = qmc.LatinHypercube(axes, seed=rng)
    drawn: Fractions = sampler.random(count)
    return np.minimum(drawn, np.nextafter(1.0, 0.0))


def read_sample(given: Any) -> Sample:
    """The sample that a space asks for; ConfigError where it is none."""
    if given == "grid":
        return Sample()
    if not isinstance(given, Mapping):
        hint = did_you_mean(given, ("grid", *_DRAWN)) if isinstance(given, str) else ""
        raise ConfigError(f"{_FORMS}; got {short(given)}{hint}")
    for key in given:
        if key not in (*_DRAWN, "seed"):
            raise ConfigError(f"unknown key {key!r}{did_you_mean(str(key), _DRAWN)}; {_FORMS}")
    ways = [way for way in _DRAWN if way in given]
    if len(ways) != 1:
        raise ConfigError(f"{_FORMS}; got {short(dict(given))}")
    return Sample(
        ways[0], _whole(ways[0], given[ways[0]], 1, MOST_DRAWN[ways[0]]), _whole("seed", given.get("seed", 0), 0, 2**63)
    )


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name}: expected a whole number from {low} to {high:,}, got {short(value)}")
    return value
