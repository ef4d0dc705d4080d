"""A bar for every layer, as SVG: by decades where the layers differ by them, with what each is over its bar."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from accelsim.report.pages.tables import MOST_ROWS
from accelsim.report.pages.text import shown, shown_lines

_WIDE, _HIGH, _LEFT, _BELOW, _ABOVE = 1000, 210, 78, 30, 10
_DECADE = 10.0
_NUMBERS = 40
"""Numbers below the bars at most."""


class Bar(NamedTuple):
    """What one layer takes, the colour of its bar, and what is said over it."""

    value: float
    colour: str
    tip: str


class _Scale(NamedTuple):
    """Where a value ends, 0 to 1, and the values with a line."""

    place: Callable[[float], float]
    ticks: tuple[float, ...]


def bars_html(
    bars: Sequence[Bar],
    text: Callable[[float], str],
    legend: Mapping[str, str],
    *,
    axis: str = "layer number",
    first: int = 0,
) -> str:
    """``bars`` from left to right, ``text`` of the values at the lines, and what the colours of ``legend`` (by name) mean.

    They are numbered from ``first``, of which ``axis`` says what it is.
    """
    few = bars[:MOST_ROWS]
    if not any(bar.value > 0 for bar in few):
        return ""
    scale, base = _scale([bar.value for bar in few]), _HIGH - _BELOW
    step, span = (_WIDE - _LEFT) / len(few), base - _ABOVE
    parts = [_line(base - scale.place(tick) * span, text(tick)) for tick in scale.ticks]
    for k, bar in enumerate(few):
        high = max(scale.place(bar.value) * span, 0.0) if bar.value > 0 else 0.0
        said = f'class="bar" data-tip="{shown_lines(bar.tip)}"'
        # The whole column answers the pointer, so that a short bar can be hit.
        hit = f'<rect x="{_LEFT + k * step:.1f}" y="{_ABOVE}" width="{step:.2f}" height="{span}" fill="#0000" stroke="none"/>'
        box = f'x="{_LEFT + (k + 0.1) * step:.1f}" y="{base - high:.1f}" width="{0.8 * step:.2f}" height="{high:.1f}"'
        parts.append(f'<g {said}>{hit}<rect {box} fill="{bar.colour}"/></g>')
    every = -(-len(few) // _NUMBERS)
    parts += [
        f'<text x="{_LEFT + (k + 0.5) * step:.1f}" y="{base + 14}" text-anchor="middle">{first + k}</text>'
        for k in range(0, len(few), every)
    ]
    parts.append(f'<text x="{(_WIDE + _LEFT) / 2}" y="{_HIGH - 3}" text-anchor="middle">{shown(axis)}</text>')
    keys = " ".join(_key(name, colour) for name, colour in legend.items())
    note = f'<p class="note">the first {len(few):,} of {len(bars):,} layers</p>' if len(bars) > len(few) else ""
    svg = f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="img">{"".join(parts)}</svg>'
    return f'<div class="wide chart">{svg}</div><p class="note">{keys}</p>{note}'


def _key(name: str, colour: str) -> str:
    return f'<span class="key"><i style="background:{colour}"></i> {shown(name)}</span>'


def _line(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDE}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{shown(text)}</text>'
    )


def _scale(values: Sequence[float]) -> _Scale:
    known = [value for value in values if value > 0]
    low, high = min(known), max(known)
    if high < _DECADE * low:
        step = _round_step(high / 4)
        return _Scale(lambda value: value / high, tuple(step * k for k in range(math.floor(high / step) + 1)))
    first, last = math.floor(math.log10(low) - 0.1), math.log10(high)
    decades = range(first, math.floor(last) + 1)
    every = -(-len(decades) // 7)
    return _Scale(lambda value: (math.log10(value) - first) / (last - first), tuple(10.0**k for k in decades[::every]))


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is no less."""
    decade = 10.0 ** math.floor(math.log10(least))
    return next(decade * k for k in (1, 2, 5, 10) if decade * k >= least * 0.999)
