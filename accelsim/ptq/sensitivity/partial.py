"""Partial quantization: the fewest layers kept at more bits for a loss that is allowed (Wu 2004.09602, section 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import ConfigError, ModelError
from accelsim.ptq.evaluate import evaluate_model, gather
from accelsim.ptq.probe import Probe, QuantizerId
from accelsim.ptq.quantization import Calibrated, Quantized
from accelsim.ptq.sensitivity.layers import layers_of, reference_of
from accelsim.ptq.sensitivity.loss import LossLimit
from accelsim.ptq.settings import MAX_BITS, Widths
from accelsim.ptq.study import Effect, Reference

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class PartialQuantization:
    """``kept``: exceptions by layer, as Settings take them; what is lost with none kept (``before``), with them (``after``), and by the
    quantized file itself, fake-quantized (``verified``). ``order``: all layers from the most sensitive one."""

    kept: Mapping[str, Widths]
    limit: LossLimit
    before: Effect
    after: Effect
    verified: Effect
    order: tuple[str, ...]
    quantized: Quantized
    reference: Reference

    @property
    def is_met(self) -> bool:
        """Whether the file loses no more than the limit."""
        return self.limit.is_met(self.verified, self.reference)

    def options(self) -> list[str]:
        """``--layer NAME=w16a16`` of the command line, one for each layer."""
        return [f"--layer {name}={_text(widths)}" for name, widths in self.kept.items()]


def _text(widths: Widths) -> str:
    weights = "" if widths.weights is None else f"w{widths.weights}"
    return weights if widths.acts is None else f"{weights}a{widths.acts}"


def partial_quantization(
    probe: Probe,
    inputs: Mapping[str, NDArray[Any]],
    *,
    limit: LossLimit,
    labels: NDArray[Any] | None = None,
    keep: Widths | None = None,
    evaluator: str = "onnx",
    progress: Progress | None = None,
) -> PartialQuantization:
    """The fewest layers of ``probe``'s network to keep at ``keep`` bits, 16 and 16 where None, the others as its settings say.

    Layers are kept from the most sensitive one, quantized alone to those widths, until no more than ``limit`` is lost; then each is
    given up again whose bits are not needed. ``inputs`` are those of the probe, over which the file that follows is run. Raises
    ConfigError where the limit is not met with all layers kept, ModelError where the file cannot run on integers.
    """
    reference = reference_of(probe, labels)
    limit.check(reference)
    search = _Search(probe, reference, limit, keep or Widths(MAX_BITS, MAX_BITS), progress)
    before, order = search.effect(()), search.order()
    kept = search.grown(order)
    if kept is None:
        least = limit.shown(search.effect(order), reference)
        raise ConfigError(
            f"loss of {limit}: not met with every layer at {_text(search.keep)}: {least}; allow more, or keep more bits"
        )
    kept = search.pruned(kept)
    quantized = _quantized(probe, search, kept)
    verified = reference.effect(file_outputs(quantized, probe.calibrated, inputs, evaluator=evaluator))
    return PartialQuantization(
        search.layers(kept), limit, before, search.effect(kept), verified, tuple(order), quantized, reference
    )


def _quantized(probe: Probe, search: _Search, kept: list[str]) -> Quantized:
    layers = search.layers(kept)
    try:
        return probe.calibrated.quantized(layers=layers)
    except ModelError as error:
        if probe.chosen(probe.at(layers=layers)).dialect == "qdq":
            raise
        raise ConfigError(
            f"layers kept at {_text(search.keep)} beside widths that only QONNX has cannot run on integers: {error}; keep fewer bits, as "
            "w8a16 or w8a8, or give all others 4 or 8 bits"
        ) from error


def file_outputs(
    quantized: Quantized, calibrated: Calibrated, inputs: Mapping[str, NDArray[Any]], *, evaluator: str
) -> NDArray[np.float32]:
    """Outputs of the quantized file, fake-quantized, in the form of :meth:`Probe.outputs`; QONNX by the reference evaluator."""
    runner = "onnx" if quantized.dialect == "qonnx" else evaluator
    return joined_outputs(evaluate_model(quantized.model, gather(calibrated.network, inputs), evaluator=runner))


def joined_outputs(made: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Outputs by name in the form of :meth:`Probe.outputs`."""
    parts = list(made.values())
    return parts[0] if len(parts) == 1 else np.concatenate([each.reshape(len(each), -1) for each in parts], axis=1)


class _Search:
    """Effects of layers kept, each computed once."""

    def __init__(
        self, probe: Probe, reference: Reference, limit: LossLimit, keep: Widths, progress: Progress | None
    ) -> None:
        self.probe, self.reference, self.limit, self.keep, self._progress = probe, reference, limit, keep, progress
        self.known = layers_of(probe)
        self._effects: dict[frozenset[str], Effect] = {}

    def layers(self, kept: Iterable[str]) -> dict[str, Widths]:
        """Exceptions that keep those layers, in the order of execution; weights only where a layer has some."""
        names = set(kept)
        return {name: self._widths(own) for name, own in self.known.items() if name in names}

    def _widths(self, own: tuple[QuantizerId, ...]) -> Widths:
        kinds = {known.kind for known in own}
        return Widths(
            self.keep.weights if "weights" in kinds else None, self.keep.acts if "activations" in kinds else None
        )

    def effect(self, kept: Iterable[str]) -> Effect:
        """Of the network with those layers kept."""
        key = frozenset(kept)
        if key not in self._effects:
            self._effects[key] = self.reference.effect(self.probe.outputs(self.probe.at(layers=self.layers(key))))
        return self._effects[key]

    def order(self) -> list[str]:
        """All layers, from the one that loses most when it alone is quantized as the settings say."""
        base, losses = self.probe.at(), {}
        for done, (name, own) in enumerate(self.known.items(), start=1):
            effect = self.reference.effect(self.probe.outputs({known: base[known] for known in own}))
            losses[name] = (self._badness(effect), -effect.sqnr_db)
            self._say("layers alone", done)
        return sorted(losses, key=lambda name: losses[name], reverse=True)

    def _badness(self, effect: Effect) -> float:
        loss = self.limit.loss(effect, self.reference)
        return -loss if self.limit.measure == "db" else loss

    def grown(self, order: list[str]) -> list[str] | None:
        """The first layers of ``order`` that meet the limit together; None where not even all do."""
        for count in range(len(order) + 1):
            if self.limit.is_met(self.effect(order[:count]), self.reference):
                return order[:count]
            self._say("layers kept", count)
        return None

    def pruned(self, kept: list[str]) -> list[str]:
        """``kept`` without those that the limit does not need, the least sensitive given up first."""
        for done, name in enumerate(reversed(kept), start=1):
            less = [other for other in kept if other != name]
            if self.limit.is_met(self.effect(less), self.reference):
                kept = less
            self._say("layers given up", done)
        return kept

    def _say(self, stage: str, done: int) -> None:
        if self._progress is not None:
            self._progress(stage, done, len(self.known))
