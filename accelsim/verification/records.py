"""What a verification found: frozen records with plain numbers, and nothing that computes them."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.display import as_text


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The machine's codes of one tensor against the oracle's; ``histogram`` counts elements by (machine - oracle) in LSB.

    ``sqnr_db`` is 10*log10(sum o^2 / sum (m - o)^2) of the codes without their zero point; None where no code differs.
    """

    elements: int
    differing: int
    max_lsb: int
    histogram: tuple[tuple[int, int], ...]
    sqnr_db: float | None


@dataclass(frozen=True, kw_only=True)
class Cause:
    """``count`` differing elements of a layer that one step of the ablation moved first.

    ``free`` counts the layer's codes off the ends of the clamp. ``expected`` is the share of them that the rule moves, None where
    no law is known; ``moved`` how many it did move, differing in the end or not.
    """

    step: str
    text: str
    count: int
    elements: int
    free: int
    moved: int
    expected: float | None = None

    @property
    def seen(self) -> float:
        """Share of the free codes that the step moved."""
        return self.moved / self.free if self.free else 0.0

    def __str__(self) -> str:
        return as_text(self)


@dataclass(frozen=True, kw_only=True)
class FirstDifference:
    """The first differing element: inference, index, the oracle's code and the machine's.

    ``exact`` is the value before rounding, zero point included, as a decimal; ``accumulator`` the sum it comes from.
    """

    inference: int
    index: tuple[int, ...]
    expected: int
    got: int
    accumulator: int | None = None
    exact: str | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A parameter of a layer that machine and reference do not share, whether or not it moves a code."""

    layer: str
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer: ``forced`` with the oracle's own inputs, ``end_to_end`` with the machine's; ``beyond`` counts codes of
    ``forced`` outside the tolerance. The counts of ``causes`` add up to ``forced.differing``.
    """

    layer: str
    operator: str
    tensor: str
    oracle_rule: str
    machine_rule: str
    forced: Comparison
    end_to_end: Comparison
    beyond: int
    causes: tuple[Cause, ...] = ()
    first: FirstDifference | None = None


@dataclass(frozen=True, kw_only=True)
class OutputEffect:
    """What the differences do to the network's first output; accuracies are None without labels."""

    tensor: str
    inferences: int
    affected: int
    argmax_changed: int
    top5_changed: int
    oracle_accuracy: float | None = None
    machine_accuracy: float | None = None
