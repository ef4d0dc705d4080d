"""The work on one layer over all inferences: both comparisons, causes, the first difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.verification import names
from accelsim.verification.compare import CauseTally, Tally
from accelsim.verification.readings.exact import ExactRequant, decimal
from accelsim.verification.records import Finding, FirstDifference, LayerReport
from accelsim.verification.steps.ablation import ablation, sums_and_reading, unrewritten
from accelsim.verification.steps.step import Pair
from accelsim.verification.tolerance import Tolerance

Array = NDArray[Any]


class LayerStudy:
    """Collects what is known about one layer."""

    def __init__(self, pair: Pair, tolerance: Tolerance, rewriting: str = "") -> None:
        self._pair = pair
        self._rewriting, self._rewritten, self._seen = rewriting, 0, 0
        self._tolerance = tolerance
        self._forced, self._chained, self._causes = Tally(), Tally(), CauseTally()
        self._beyond = 0
        self._first: FirstDifference | None = None

    def forced(self, inference: int, inputs: Sequence[Array], oracle: Array, plain: Array | None = None) -> None:
        """``inputs`` and ``oracle`` are the oracle's own codes, ``plain`` what it makes of the file as it stands."""
        pair = self._pair
        exact = sums_and_reading(pair, inputs)
        inside = None if exact is None else _inside(*exact)
        steps = list(ablation(pair, inputs))
        if plain is not None:
            steps.insert(0, unrewritten(oracle, plain, steps, self._rewriting))
            self._rewritten += int((oracle != plain).sum())
            self._seen += oracle.size
        machine = self._causes.add(oracle, steps, inside=inside)
        self._forced.add(oracle, machine, zero_point=pair.tensors[pair.mine.output].zero_point)
        self._beyond += self._tolerance.beyond(oracle, machine, exact)
        if self._first is None and (wrong := np.flatnonzero(machine != oracle.reshape(-1))).size:
            self._first = self._difference(inference, int(wrong[0]), oracle.reshape(-1), machine, exact)

    def chained(self, oracle: Array, machine: Array) -> None:
        """The same tensor with the machine's own inputs."""
        self._chained.add(oracle, machine, zero_point=self._pair.tensors[self._pair.mine.output].zero_point)

    def finding(self) -> Finding | None:
        """How many codes the oracle's rewriting of this layer changed, whether or not the machine's differ."""
        if not self._rewritten:
            return None
        text = f"{self._rewriting} changes {self._rewritten:,} of {self._seen:,} codes"
        return Finding(layer=self._pair.mine.name, kind=names.REWRITING, text=text)

    def _difference(
        self, inference: int, flat: int, oracle: Array, machine: Array, exact: tuple[Array, ExactRequant] | None
    ) -> FirstDifference:
        shape = self._pair.tensors[self._pair.mine.output].shape
        index = tuple(int(i) for i in np.unravel_index(flat, shape))
        accumulator, value = None, None
        if exact is not None:
            sums, reading = exact
            accumulator = int(sums.reshape(-1)[flat])
            value = decimal(reading.value(accumulator, flat % sums.shape[-1]))
        return FirstDifference(
            inference=inference,
            index=index,
            expected=int(oracle[flat]),
            got=int(machine[flat]),
            accumulator=accumulator,
            exact=value,
        )

    def result(self) -> LayerReport:
        """Everything collected."""
        mine = self._pair.mine
        return LayerReport(
            layer=mine.name,
            operator=mine.operator,
            tensor=mine.output,
            oracle_rule="float" if self._pair.is_float else _rule(self._pair.reference),
            machine_rule=_rule(mine),
            forced=self._forced.result(),
            end_to_end=self._chained.result(),
            beyond=self._beyond,
            causes=self._causes.result(),
            first=self._first,
        )


def _inside(sums: Array, exact: ExactRequant) -> Array:
    """Whether the exact value lies off the clamp's ends by half a code or more."""
    placed = sums.astype(np.float64) * np.array([float(m) for m in exact.multipliers]) + exact.zero_point
    return np.asarray((placed > exact.clamp_min + 0.5) & (placed < exact.clamp_max - 0.5))


def _rule(layer: object) -> str:
    scheme = getattr(getattr(layer, "requant", None), "scheme", None)
    return str(scheme) if scheme else "—"
