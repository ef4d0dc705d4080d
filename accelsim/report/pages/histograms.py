"""How often which values came, as SVG: bars, the median as a line, what each bar holds over it."""

from __future__ import annotations

import math
from collections.abc import Callable

from accelsim.report.pages.text import shown
from accelsim.result import Distribution

_WIDE, _HIGH, _ABOVE = 320, 90, 4


def histogram_html(found: Distribution, title: str, text: Callable[[float], str]) -> str:
    """``found`` under its ``title`` and three of its values, written by ``text``; equal widths are equal ratios where it says so."""
    most, step = max(found.counts), _WIDE / len(found.counts)
    bars = [
        _bar(k * step, step, count / most, f"{text(low)} to {text(high)}: {count:,} rows")
        for k, (count, low, high) in enumerate(zip(found.counts, found.edges, found.edges[1:], strict=False))
    ]
    x = _place(found) * _WIDE
    line = f'<path d="M{x:.1f} 0V{_HIGH}" stroke-dasharray="4 3"/><path d="M0 {_HIGH}H{_WIDE}"/>'
    scale = ", by ratios" if found.log else ""
    said = f"<b>{shown(title)}</b>: {shown(text(found.least))} to {shown(text(found.most))}{scale}; median {shown(text(found.median))}"
    svg = f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="{shown(title)}">{"".join(bars)}{line}</svg>'
    return f'<figure class="histogram"><figcaption>{said}</figcaption>{svg}</figure>'


def _place(found: Distribution) -> float:
    """How far along the picture the median is."""
    low, value, high = found.edges[0], found.median, found.edges[-1]
    if found.log:
        low, value, high = math.log(low), math.log(value), math.log(high)
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def _bar(x: float, step: float, share: float, said: str) -> str:
    span = _HIGH - _ABOVE
    high = max(share * span, 1.0) if share else 0.0
    # The whole column answers the pointer, so that a short bar can be hit.
    hit = f'<rect x="{x:.1f}" y="0" width="{step:.1f}" height="{_HIGH}" fill="#0000" stroke="none"/>'
    box = f'<rect x="{x + 0.05 * step:.1f}" y="{_HIGH - high:.1f}" width="{0.9 * step:.1f}" height="{high:.1f}"/>'
    return f'<g class="bar" data-tip="{shown(said)}">{hit}{box}</g>'
