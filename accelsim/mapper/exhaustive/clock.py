"""How long a search may take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

Step = TypeVar("Step")
SECONDS = 10.0
"""That a search of a network takes at most, where nobody says otherwise."""


class Clock:
    """Says when so many ``seconds`` are over. Nothing can be stopped on its way, so that a step is expected to take as long as the longest.

    ``since``: they began with that clock, but half of them are left whatever was done before, which may have been compiling.
    """

    def __init__(self, seconds: float = math.inf, since: Clock | None = None) -> None:
        now = time.perf_counter()
        self._begin, self.seconds, self._longest = now, seconds, 0.0
        if since is not None:
            self._begin = max(since._begin, now - seconds / 2)
        self.stopped = False

    def over(self, share: float = 1.0) -> bool:
        """Whether a step as long as the longest would end behind this ``share`` of the time; then something is left undone."""
        ends = time.perf_counter() - self._begin + self._longest
        self.stopped = self.stopped or ends > self.seconds * share
        return ends > self.seconds * share

    def timed(self, step: Callable[[], Step]) -> Step:
        """What ``step`` gives; how long it takes is what the next ones are expected to take."""
        begin = time.perf_counter()
        made = step()
        self._longest = max(self._longest, time.perf_counter() - begin)
        return made
