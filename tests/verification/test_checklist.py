"""Every kind of layer has a floating-point reading and steps of an ablation, or says why it has none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accelsim.graph import Layer
from accelsim.verification import names
from accelsim.verification.readings.fake_quant import READINGS, FloatReading, NoReading, reading_of
from accelsim.verification.readings.linear import SUMS
from accelsim.verification.steps.rules import BY_PARTS


def concrete(kind: type[Layer] = Layer) -> Iterator[type[Layer]]:
    """Kinds of the package that have an operator of their own."""
    for below in kind.__subclasses__():
        if hasattr(below, "operator") and below.__module__.startswith("accelsim."):
            yield below
        yield from concrete(below)


KINDS = sorted(set(concrete()), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_has_a_reading_or_a_reason(kind: type[Layer]) -> None:
    where = f"{kind.__name__}: verification/readings/fake_quant.py, READINGS"
    assert kind in READINGS, f"{where}: state its floating-point reading, or NoReading with the reason"
    reading = READINGS[kind]
    if isinstance(reading, NoReading):
        assert len(reading.because) > 10, f"{where}: say why there is no reading"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_reading_has_its_steps(kind: type[Layer]) -> None:
    """Sums and one requantization, parts, or single roundings with a cause for what is left."""
    reading = READINGS.get(kind)
    if isinstance(reading, FloatReading) and kind not in SUMS and kind not in BY_PARTS:
        found = [rule.key for rule in reading.roundings] + [reading.last]
        assert set(found) <= set(names.STEPS), f"{kind.__name__}: an ablation has no such cause: {found}"
        assert reading.last != names.OPERATOR or reading.roundings, (
            f"{kind.__name__}: neither sums (readings/linear.py), nor parts (steps/rules.py, BY_PARTS), nor single roundings"
        )


def test_the_registries_hold_kinds_of_the_package_alone() -> None:
    assert set(READINGS) == set(KINDS)
    assert set(SUMS) | set(BY_PARTS) <= set(KINDS)


def test_a_kind_without_an_entry_is_named() -> None:
    class Cumsum(Layer):
        operator = "CUMSUM"

    with pytest.raises(KeyError, match="Cumsum: no entry in READINGS"):
        reading_of(Cumsum(name="c", inputs=("x",), output="y"))
