"""What every contract is: tests of one extension, which a subclass offers by overriding hooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from accelsim.testing.networks import Rng


class Contract:
    """Test methods over what a subclass offers.

    A subclass called ``Test...`` is collected by pytest; :meth:`check` runs the same tests without it. ``seeds`` number the random
    cases of each test, and stand in its messages.
    """

    seeds: ClassVar[Sequence[int]] = range(8)

    def check(self) -> tuple[str, ...]:
        """Run every test and give their names; AssertionError, or the extension's own error, from the first that fails."""
        names = tuple(name for name in sorted(dir(type(self))) if name.startswith("test_"))
        for name in names:
            getattr(self, name)()
        return names

    def draws(self) -> Iterator[tuple[int, Rng]]:
        """Each seed with its random numbers."""
        return ((seed, np.random.default_rng(seed)) for seed in self.seeds)

    def expect(self, holds: object, message: str) -> None:
        """AssertionError with ``message`` and the contract's name where ``holds`` is false."""
        if not holds:
            raise AssertionError(f"{type(self).__name__}: {message}")
