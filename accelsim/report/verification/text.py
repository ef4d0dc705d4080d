"""A VerificationReport as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim.report.lines import align
from accelsim.report.numbers import NONE, short_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accelsim.verification import Cause, Comparison, LayerReport, VerificationReport

HEAD = ("layer", "operator", "codes", "differ", "max", "SQNR dB", "end to end", "max", "beyond")
RIGHT = (False, False, *[True] * (len(HEAD) - 2))


def report_text(report: VerificationReport) -> str:
    """Heading, layers, causes, findings, output, verdict."""
    return "\n".join(
        [
            heading(report),
            *report.notes,
            "",
            *align([HEAD, *layer_rows(report)], right=RIGHT),
            *_section("causes", cause_lines(report)),
            *_section("first difference", first_lines(report)),
            *_section("parameters that differ", finding_lines(report)),
            *_section("accumulator width", width_lines(report)),
            "",
            output_line(report),
            verdict(report),
        ]
    )


def heading(report: VerificationReport) -> str:
    """Who is compared with whom."""
    return (
        f"{report.model} on {report.arch} ({report.arithmetic}) against {report.oracle} ({report.oracle_arithmetic}), "
        f"{report.inferences} inference{'s' if report.inferences != 1 else ''}"
    )


def layer_labels(report: VerificationReport) -> Mapping[str, str]:
    """What stands for each layer, by its whole name."""
    return short_names(report.network or [layer.layer for layer in report.layers])


def layer_rows(report: VerificationReport) -> list[tuple[str, ...]]:
    """The layer table."""
    labels = layer_labels(report)
    return [_cells(layer, labels[layer.layer]) for layer in report.layers]


def _cells(layer: LayerReport, label: str) -> tuple[str, ...]:
    return (
        label,
        layer.operator,
        f"{layer.forced.elements:,}",
        *_counts(layer.forced),
        _sqnr(layer.forced),
        *_counts(layer.end_to_end),
        f"{layer.beyond:,}" if layer.beyond else NONE,
    )


def _counts(comparison: Comparison) -> tuple[str, str]:
    if not comparison.differing:
        return "0", NONE
    return f"{comparison.differing:,}", str(comparison.max_lsb)


def _sqnr(comparison: Comparison) -> str:
    return NONE if comparison.sqnr_db is None else f"{comparison.sqnr_db:.1f}"


def cause_lines(report: VerificationReport) -> list[str]:
    """Each layer's causes."""
    labels = layer_labels(report)
    return [f"{labels[layer.layer]}: {cause}" for layer in report.layers for cause in layer.causes]


def finding_lines(report: VerificationReport) -> list[str]:
    """Parameters that differ, and what else was found, each with its layer."""
    labels = layer_labels(report)
    return [f"{labels.get(f.layer, f.layer)}: {f.kind}: {f.text}" for f in report.findings]


def cause_text(cause: Cause) -> str:
    """How many codes, why, and the rate that a law of the rule expects, where there is one."""
    of = "" if cause.free == cause.elements else f" of the {_short(cause.free)} that are not clamped"
    law = "" if cause.expected is None else f" (expected rate {cause.expected:.2%}{of}, seen {cause.seen:.2%})"
    return f"{cause.count:,} of {_short(cause.elements)} codes: {cause.text}{law}"


def _short(count: int) -> str:
    return f"{count / 1e6:.2f} M" if count >= 1_000_000 else f"{count:,}"


def first_lines(report: VerificationReport) -> list[str]:
    """The first differing element of the first layer that differs."""
    layer = report.first
    if layer is None or layer.first is None:
        return []
    first = layer.first
    place = f"{layer_labels(report)[layer.layer]}, tensor {layer.tensor!r}, inference {first.inference}, index {first.index}"
    exact = "" if first.exact is None else f"; sum {first.accumulator:,} stands for {first.exact}"
    return [f"{place}: expected {first.expected}, got {first.got}{exact}"]


def width_lines(report: VerificationReport) -> list[str]:
    """The accumulator study, one line per width."""
    study = report.widths
    if study is None:
        return []
    lines, labels = [], layer_labels(report)
    for row in study.rows:
        accuracy = "" if row.accuracy is None else f", accuracy {row.accuracy:.2%}"
        first = labels.get(row.first_layer or "", row.first_layer)
        broken = f"breaks first in {first}" if first else "no code differs"
        lines.append(
            f"{row.bits} bits, {study.overflow}: {row.differing:,} of {row.elements:,} codes differ, {broken}{accuracy}"
        )
    smallest = NONE if study.smallest is None else f"{study.smallest} bits"
    return [
        *lines,
        f"smallest that changes no code of these inputs: {smallest}; proved for any input: {study.proved} bits",
    ]


def output_line(report: VerificationReport) -> str:
    """Effect on the network's output."""
    out = report.output
    accuracy = ""
    if out.oracle_accuracy is not None and out.machine_accuracy is not None:
        accuracy = f"; accuracy {out.oracle_accuracy:.2%} by the oracle, {out.machine_accuracy:.2%} by the machine"
    return (
        f"output {out.tensor!r}: {out.affected} of {out.inferences} inferences affected, arg-max changed in "
        f"{out.argmax_changed}, top 5 in {out.top5_changed}{accuracy}"
    )


def verdict(report: VerificationReport) -> str:
    """Match or mismatch, with the counts."""
    word = "MISMATCH" if not report.matches else "match" if report.complete else "INCOMPLETE"
    beyond = sum(layer.beyond for layer in report.layers)
    labels = layer_labels(report)
    unmatched = ", ".join(labels[name] for name in report.unmatched)
    left = f"; layers that could not be compared: {unmatched}" if unmatched else ""
    return (
        f"{word} (tolerance {report.tolerance}): {report.differing:,} of {report.elements:,} codes differ layer by layer, "
        f"{report.differing_end_to_end:,} end to end, {beyond:,} beyond the tolerance{left}"
    )


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []
