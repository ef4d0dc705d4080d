"""What helps against the noise of weights and of activations: named, and tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from accelsim.errors import AccelsimError
from accelsim.ptq.diagnose.quantizers import QuantizerFinding
from accelsim.ptq.probe import Kind, Probe
from accelsim.ptq.settings import MAX_BITS, Settings, Widths
from accelsim.ptq.study import Effect, Study, study_of

Progress = Callable[[str, int, int], None]
Aim = Literal["weights", "activations", "both"]
KINDS: tuple[Kind, Kind] = ("weights", "activations")
WORST = 3
"""Layers whose widths are raised, of each kind."""
LEAST_GAIN_DB = 0.1
"""A remedy that gains less is not put on top of others."""


@dataclass(frozen=True, eq=False)
class Remedy:
    """A change of the settings against the noise of ``aim``: fields and values, or more bits for one layer."""

    name: str
    aim: Aim
    change: dict[str, Any]
    layer: tuple[str, Widths] | None = None

    def text(self, names: Mapping[str, str]) -> str:
        """With the layer, which ``names`` may shorten."""
        return self.name if self.layer is None else f"{self.name} of {names.get(self.layer[0], self.layer[0])}"

    def on(self, settings: Settings) -> Settings:
        """``settings`` with the remedy."""
        changed = replace(settings, **self.change)
        if self.layer is None:
            return changed
        name, widths = self.layer
        held = changed.layers.get(name, Widths())
        both = Widths(widths.weights or held.weights, widths.acts or held.acts)
        return replace(changed, layers={**changed.layers, name: both})


@dataclass(frozen=True, eq=False)
class Tried:
    """A remedy with the settings that it makes and what the network then does; ``gain_db`` over what it was put on."""

    remedy: Remedy
    settings: Settings
    effect: Effect
    gain_db: float


@dataclass(frozen=True)
class Refused:
    """A remedy that the network does not take, and why."""

    remedy: Remedy
    reason: str


def remedies_for(settings: Settings, worst: Sequence[QuantizerFinding]) -> list[Remedy]:
    """What is to be tried on ``settings``; widths are raised for the layers of the ``worst`` quantizers."""
    return [*_of_weights(settings), *_of_activations(settings), *_of_widths(worst)]


def _of_weights(settings: Settings) -> Iterator[Remedy]:
    known = {
        "per_channel": "a scale per output channel",
        "equalize": "equalized channels",
        "bias_correction": "corrected biases",
    }
    for name, text in known.items():
        if not getattr(settings, name):
            yield Remedy(text, "weights", {name: True})


def _of_activations(settings: Settings) -> Iterator[Remedy]:
    if settings.range != "mse":
        yield Remedy("ranges of least square error", "both", {"range": "mse"})
    for percent in (99.9, 99.99, 99.999):
        if settings.range != "percentile" or settings.percentile != percent:
            change = {"range": "percentile", "percentile": percent}
            yield Remedy(f"ranges by percentile {percent:g}", "activations", change)
    if settings.range != "entropy":
        yield Remedy("ranges of least divergence", "activations", {"range": "entropy"})
    if settings.range != "minmax":
        yield Remedy("ranges of all values", "activations", {"range": "minmax"})
    for name, text in (("symmetric", "zero points"), ("power_of_two", "scales that are no powers of two")):
        if getattr(settings, name):
            yield Remedy(text, "activations", {name: False})


def _of_widths(worst: Sequence[QuantizerFinding]) -> Iterator[Remedy]:
    for kind in KINDS:
        own = [each for each in worst if each.quantizer.kind == kind and each.bits < MAX_BITS][:WORST]
        for each in own:
            bits, layer = _more(each.bits), each.quantizer.layer
            widths = Widths(weights=bits) if kind == "weights" else Widths(acts=bits)
            what = "the weights" if kind == "weights" else "the output"
            yield Remedy(f"{bits} bits for {what}", kind, {}, (layer, widths))


def _more(bits: int) -> int:
    """The next wider type: 4, 8 or 16 bits; of activations that go 16."""
    return next(wider for wider in (4, 8, MAX_BITS) if wider > bits)


class Trial:
    """Networks under other settings; the float network is equalized, and calibrated anew, once where that is asked for."""

    def __init__(self, study: Study, calibration: Any) -> None:
        self.study, self.calibration = study, calibration
        self._probes: dict[bool, Probe] = {study.calibrated.settings.equalize: study.probe}

    def probe(self, settings: Settings) -> Probe:
        """The network under ``settings``."""
        if settings.equalize not in self._probes:
            own = self.study
            self._probes[settings.equalize] = study_of(
                own.calibrated.path,
                self.calibration,
                settings=settings,
                inputs=own.inputs,
                evaluator=own.evaluator,
                keep_values=True,
            ).probe
        return self._probes[settings.equalize].under(settings)

    def effect(self, settings: Settings) -> Effect:
        """Of all quantizers."""
        probe = self.probe(settings)
        return self.study.reference.effect(probe.outputs(probe.at()))


def try_remedies(
    trial: Trial, base: Settings, before: Effect, remedies: Sequence[Remedy], *, progress: Progress | None = None
) -> tuple[list[Tried], list[Refused]]:
    """Each of ``remedies`` alone on ``base``, whose effect is ``before``, the best first; and those that the network does not take."""
    made, refused = list[Tried](), list[Refused]()
    for done, remedy in enumerate(remedies, start=1):
        try:
            made.append(_tried(trial, remedy, base, before))
        except AccelsimError as error:
            refused.append(Refused(remedy, str(error)))
        if progress is not None:
            progress("remedies", done, len(remedies))
    return sorted(made, key=lambda each: each.gain_db, reverse=True), refused


def _tried(trial: Trial, remedy: Remedy, base: Settings, before: Effect) -> Tried:
    settings = remedy.on(base)
    effect = trial.effect(settings)
    return Tried(remedy, settings, effect, effect.sqnr_db - before.sqnr_db)


def together(
    trial: Trial, base: Settings, before: Effect, tried: Sequence[Tried], *, progress: Progress | None = None
) -> list[Tried]:
    """The best remedy, then each of the others of ``tried`` on top, where it gains; with what it gained there.

    First those that cost no bits. One that changes what an earlier one chose (another way to set ranges) takes its place only where
    that gains.
    """
    chosen: list[Tried] = []
    settings, effect = base, before
    useful = [each.remedy for each in tried if each.gain_db >= LEAST_GAIN_DB]
    useful.sort(key=lambda remedy: remedy.layer is not None)
    for done, remedy in enumerate(useful, start=1):
        with suppress(AccelsimError):  # two widths for tensors under one scale: the first that gained stays
            after = _tried(trial, remedy, settings, effect)
            if after.gain_db >= LEAST_GAIN_DB and not _worse(after.effect, effect):
                chosen.append(after)
                settings, effect = after.settings, after.effect
        if progress is not None:
            progress("remedies together", done, len(useful))
    return chosen


def _worse(after: Effect, before: Effect) -> bool:
    """Whether labels are lost: less noise at the cost of accuracy is no remedy."""
    return after.accuracy is not None and before.accuracy is not None and after.accuracy < before.accuracy
