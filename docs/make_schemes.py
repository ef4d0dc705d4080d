"""Write ``docs/schemes.md``: which requantization scheme each runtime uses for each operator, and what each scheme computes.

python docs/make_schemes.py             # rewrites the page; every line of it comes from the code
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from accelsim.arch import ARITHMETICS, Arithmetic  # noqa: E402
from accelsim.arch.arithmetic import OPERATORS, SPECIAL_SCHEMES  # noqa: E402
from accelsim.importers.tflite import delegate, rules  # noqa: E402
from accelsim.numerics import ALIAS_REASONS, ALIASES, SCHEMES, RequantScheme  # noqa: E402

PAGE = ROOT / "docs" / "schemes.md"
FAMILY = re.compile(r"single_\d+")
WIDE_ACTIVATIONS = 16

HEAD = """# Requantization schemes

A scheme takes an accumulator to an output code. Runtimes and chips differ in it, one runtime uses several, and a single
different rounding shows in the last bit. `--arithmetic NAME` (or `arithmetic:` in a machine's YAML) chooses a runtime's table,
`--set overrides.OPERATOR=SCHEME` changes one entry. Where neither is given it is the model file's own: `tflite-micro` of a `.tflite`
file, `onnxruntime` of ONNX in QDQ or QOperator form, `finn` of QONNX. A unit that no scheme describes is written down stage by stage
([requantizer.md](requantizer.md)).

This page is written by `docs/make_schemes.py` from the code.
"""


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join("| " + " | ".join(escaped(cell) for cell in line) + " |\n" for line in lines)


def escaped(cell: str) -> str:
    """``cell`` without bars and stars that mean something to Markdown."""
    return cell.replace("|", "\\|").replace("*", "\\*")


def code(name: str) -> str:
    return f"`{name}`"


def entry(arithmetic: Arithmetic, operator: str) -> str:
    """The scheme of ``operator``, and the one for 16-bit activations where it is another; a dash where there is none."""
    if operator not in arithmetic.schemes:
        return "—"
    narrow = arithmetic.scheme(operator)
    wide = arithmetic.scheme(operator, activation_bits=WIDE_ACTIVATIONS)
    return code(narrow) if narrow == wide else f"{code(narrow)}; 16-bit: {code(wide)}"


def by_runtime() -> str:
    names = list(ARITHMETICS)
    rows = [[code(operator), *(entry(ARITHMETICS[name], operator) for name in names)] for operator in OPERATORS]
    sources = [[code(a.name), a.description, a.source] for a in ARITHMETICS.values()]
    return (
        "## Runtime × operator → scheme\n\n"
        "Operators that are not listed multiply by no ratio of scales, or have one rule of their own (`accelsim ops`).\n"
        "Convolutions and dense layers with 16-bit activations and a 64-bit bias use `tflite_int16`, as do products of two\n"
        "16-bit tensors; XNNPACK leaves products whose right zero point is not 0 to LiteRT, which rounds as its reference does.\n"
        "Under `onnxruntime` sums, products, quotients and average pools of 16-bit codes are its own float32 operations, one by one.\n\n"
        + table(["operator", *map(code, names)], rows)
        + "\n"
        + table(["arithmetic", "what it is", "source"], sources)
    )


def span(limits: tuple[float, float]) -> str:
    """A range of ratios between powers of two."""
    low, high = (f"2^{int(math.log2(limit))}" for limit in limits)
    return f"{low} to {high}"


def by_node() -> str:
    sums, products, conversions = (
        span(limits) for limits in (delegate.SUM_RATIOS, delegate.PRODUCT_RATIOS, delegate.CONVERSION_RATIOS)
    )
    least = delegate.STEEPEST_FALL
    rows = [
        ["ADD, SUB", f"each operand's scale over the output's from {sums}, the last left out", "half away; ADD wraps"],
        ["MUL", f"s1 * s2 / s_out from {products}, the last left out", "half away; wraps"],
        ["LEAKY_RELU", f"s_in / s_out and, of either sign, alpha times it from {conversions}; the least is {least}", "half away"],
        ["QUANTIZE", f"int8 to int8, s_in / s_out from {conversions}", f"blocks of {rules.CONVERSION_BLOCK} elements"],
        ["TRANSPOSE_CONV", "an output size in the file; VALID, or SAME where no kernel is narrower than its stride",
         f"blocks of {rules.DEPTHWISE_BLOCK} channels"],
        ["BATCH_MATMUL", "the right operand's zero point is 0", "half away"],
    ]  # fmt: skip
    return (
        "## Nodes that XNNPACK leaves to LiteRT\n\n"
        "`litert-xnnpack` is LiteRT as it comes. Its XNNPACK delegate takes a node of 8 bits whose parameters are those below and leaves\n"
        "every other one to LiteRT's own optimized kernel, which rounds otherwise; what moves codes, pools and rectifies has one result in\n"
        "both. Found by sweeping the parameters of every operator against the live runtime, at and beside each limit.\n\n"
        + table(["operator", "what XNNPACK takes", "LiteRT's own kernel"], rows)
        + "\nHalf away: `tflite_double`. In blocks: what fills whole blocks is rounded half up twice (`half_up_twice`), what is left over\n"
        "half away (`tflite_double`); a layer that has both is refused, unless they agree on all of its codes. DEPTHWISE_CONV_2D and, over\n"
        f"rows and columns, MEAN (blocks of {rules.MEAN_BLOCK}) of `litert-optimized` are rounded in blocks too. Wraps: the kernel keeps\n"
        "16 bits of a result before it saturates; scales with which one could leave them are refused. Sums of 16-bit tensors whose\n"
        "scales are all powers of two are shifted, not multiplied, in LiteRT where the option `pot_scale_int16` is set, as it is by default.\n"
    )


def parameters(scheme: RequantScheme) -> str:
    """Family, range of the multiplier where it is narrower than its type, and range of the shift."""
    low, high = scheme.exponents
    shift = "" if (low, high) == (0, 0) else f", shift {low} to {high}"
    bits = "" if scheme.family != "fixed_point" else f", {scheme.multipliers[0]:,} ≤ m ≤ {scheme.multipliers[1]:,}"
    return f"{scheme.family.replace('_', ' ')}{bits}{shift}"


def by_scheme() -> str:
    rows = [
        [code(s.name), s.description, f"{s.wide} bits", parameters(s), s.source]
        for s in SCHEMES.values()
        if not FAMILY.fullmatch(s.name)
    ]
    special = [[code(name), ", ".join(map(code, operators))] for name, operators in SPECIAL_SCHEMES.items()]
    return (
        "## Scheme → rule and source\n\n"
        "The zero point is added and the result clamped after the rule, except where it says otherwise.\n\n"
        + table(["scheme", "rule", "accumulator", "parameters", "source"], rows)
        + "\n"
        + family()
        + "\nRules of single operators that are no accumulator scheme (their definitions: `accelsim/arch/arithmetic.py`):\n\n"
        + table(["scheme", "operators"], special)
    )


def family() -> str:
    members = [scheme for name, scheme in SCHEMES.items() if FAMILY.fullmatch(name)]
    if not members:
        return ""
    first, last = members[0], members[-1]
    rows = [[code(s.name), s.description, f"{s.wide} bits", parameters(s), s.source] for s in (first, last)]
    return (
        f"Multiplier widths {first.name.rpartition('_')[2]} to {last.name.rpartition('_')[2]} are a family of "
        f"{len(members)} schemes, here its first and last:\n\n"
        + table(["scheme", "rule", "accumulator", "parameters", "source"], rows)
    )


def aliases() -> str:
    rows = [[code(name), code(target), ALIAS_REASONS[name]] for name, target in ALIASES.items()]
    return (
        "## Other names\n\n"
        "Rules of other projects that equal a scheme bit for bit; the name is understood and takes the scheme's parameters.\n\n"
        + table(["name", "is", "because"], rows)
    )


def page() -> str:
    """The whole page."""
    return "\n".join((HEAD, by_runtime(), by_node(), by_scheme(), aliases()))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
