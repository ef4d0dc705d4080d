"""A comparison in words."""

from __future__ import annotations

from accelsim.handoff.compare.records import Difference, StreamComparison, VectorComparison


def comparison_text(found: VectorComparison) -> str:
    """Line by line: what differs, where first, and the likely reasons; what is golden in one line."""
    wrong = [stream for stream in found.streams if stream.differing]
    lines = [line for stream in wrong for line in _stream(stream)]
    golden = len(found.streams) - len(wrong)
    numbers = sum(stream.elements for stream in found.streams)
    lines.append(f"{golden:,} of {len(found.streams):,} streams are golden; {numbers:,} numbers were compared")
    if found.missing:
        names = ", ".join(map(repr, found.missing[:8])) + (" ..." if len(found.missing) > 8 else "")
        lines.append(f"not found, and not compared: {names}")
    return "\n".join(lines)


def _stream(stream: StreamComparison) -> list[str]:
    head = f"layer {stream.layer!r}, {stream.stream}: {stream.differing:,} of {stream.elements:,} numbers differ"
    lines = [head]
    if stream.first is not None:
        lines.append(f"  first: {_first(stream.first)}")
    lines += [f"  {'likely' if i == 0 else 'then'}: {reason}" for i, reason in enumerate(stream.reasons)]
    if not stream.reasons:
        lines.append("  no fault that is known explains any of them")
    return lines


def _first(first: Difference) -> str:
    place = ", ".join(f"{axis} {i}" for axis, i in zip(first.axes, first.index, strict=True))
    tile = "" if first.operation is None else f" (tile operation {first.operation})"
    stands = "" if first.accumulator is None else f"; the sum is {first.accumulator}"
    real = "" if first.real is None else f", which is {first.real} before it is rounded"
    return f"{place}{tile}: expected {first.expected}, got {first.got}{stands}{real}"
