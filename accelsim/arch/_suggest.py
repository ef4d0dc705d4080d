"""The ends of error messages: the nearest name, and the names there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHORTEST_PART = 3  # letters of a name that tell something


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """``; did you mean 'rows'?`` for the nearest of ``choices``; empty where none is near."""
    folded = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    if not near and len(name) >= _SHORTEST_PART:
        near = [choice for choice in folded if name.lower() in choice][:1]
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def listing(names: Iterable[str]) -> str:
    """Names in one phrase."""
    return ", ".join(names)
