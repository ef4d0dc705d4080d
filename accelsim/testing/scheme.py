"""The contract of a requantization scheme: one rule in plain integers, compiled, and reached from real scales."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from accelsim.errors import AccumulatorOverflowError, ModelError
from accelsim.numerics import INT8, INT16, IntFormat, Requant, requantize, requantize_int, scheme_named
from accelsim.quant import requant_from_scales
from accelsim.testing.contract import Contract
from accelsim.testing.formula import evaluate, parameters_of

ACCUMULATORS = 200
"""Random sums in each case."""


class SchemeContract(Contract):
    """Of the scheme called ``scheme``; one that ``wraps`` does not saturate, and so is not monotone."""

    scheme: ClassVar[str]
    wraps: ClassVar[bool] = False

    def requant(self, ratio: float, fmt: IntFormat) -> Requant:
        """``ratio`` in the scheme's own encoding; the next power of two for a scheme that only shifts."""
        fixed = {"zero_point": 3, "clamp_min": fmt.min, "clamp_max": fmt.max}
        try:
            return requant_from_scales(self.scheme, s_in=1, s_w=ratio, s_out=1, **fixed)
        except ModelError:
            return requant_from_scales(self.scheme, s_in=1, s_w=2.0 ** np.ceil(np.log2(ratio)), s_out=1, **fixed)

    def records(self) -> Iterator[tuple[str, float, Requant, list[int]]]:
        """Ratios from 2^-16 to 1/2 with their records and ascending sums of up to 30 bits."""
        for seed, rng in self.draws():
            ratio = float(np.float32(2.0 ** rng.uniform(-16, -1)))
            spread = 2 ** int(rng.integers(4, min(30, scheme_named(self.scheme).wide)))
            sums = sorted(rng.integers(-spread, spread, ACCUMULATORS).tolist())
            fmt = INT8 if self.wraps else INT16
            yield f"seed {seed}, ratio {ratio}: ", ratio, self.requant(ratio, fmt), sums

    def test_it_is_declared(self) -> None:
        """Under its name, with a source; sums wider than it takes are refused."""
        rule = scheme_named(self.scheme)
        self.expect(rule.source.strip() and rule.description.strip(), "no source or no description")
        self.expect(rule.exponents[0] <= rule.exponents[1], f"exponents {rule.exponents}")
        if rule.wide < 64:
            try:
                requantize_int(1 << rule.wide, self.requant(0.5, INT16))
            except AccumulatorOverflowError:
                return
            self.expect(False, f"takes a sum of more than {rule.wide} bits")

    def test_the_compiled_rule_is_its_definition(self) -> None:
        """Kernel and pure-integer twin, code by code."""
        for where, _, record, sums in self.records():
            expected = [requantize_int(value, record) for value in sums]
            made = requantize(np.array(sums, dtype=np.int64).reshape(-1, 1), record).ravel().tolist()
            self.expect(made == expected, f"{where}kernel and twin differ")

    def test_a_larger_sum_never_has_a_smaller_code(self) -> None:
        """Unless the scheme wraps."""
        for where, _, record, sums in self.records():
            codes = [requantize_int(value, record) for value in sums]
            self.expect(self.wraps or codes == sorted(codes), f"{where}codes that fall")

    def test_the_encoder_means_the_ratio(self) -> None:
        """Within a code, and what the significand's bits leave; a scheme of shifts is off by up to a factor of two."""
        for where, ratio, record, sums in self.records():
            small = [value for value in sums if abs(value * ratio) < (50 if self.wraps else 2**13)]
            for value in small:
                code, real = requantize_int(value, record) - record.zero_point, value * ratio
                off = min(abs(code - real), abs(code - value * 2.0 ** np.ceil(np.log2(ratio))))
                self.expect(off <= 1 + abs(real) / 64, f"{where}{value} became {code}, not {real:.2f}")

    def test_the_formula_is_the_definition(self) -> None:
        """What readers outside are given, evaluated as they would."""
        for where, _, record, sums in self.records():
            known = parameters_of(record, 0)
            made = [evaluate(record.rule.steps, value, known) for value in sums]
            self.expect(made == [requantize_int(value, record) for value in sums], f"{where}formula and twin differ")
