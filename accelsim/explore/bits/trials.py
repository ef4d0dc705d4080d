"""Networks at chosen widths on chosen machines: quantized, proved, costed and run in integers, each once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import AccelsimError, ConfigError
from accelsim.execute import prove_graph
from accelsim.explore.accuracy import Arrays, Labelled, is_value_path
from accelsim.explore.bits.fidelity import Reference
from accelsim.explore.bits.slots import BASE_BITS, Bits, Slots
from accelsim.explore.evaluate import evaluate
from accelsim.explore.float_network import FloatNetwork, Quantize
from accelsim.graph import Graph, MacLayer
from accelsim.importers import load_for
from accelsim.objective import Objective
from accelsim.ptq import Calibrated, check_dialect
from accelsim.ptq.pipeline import Prepared

Progress = Callable[[str, int, int], None]
Edits = tuple[tuple[str, object], ...]
"""Of the machine, by path."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A network at ``bits`` on the machine with ``edits``: what it costs, and what its integers answer.

    ``accuracy`` is the share of labels that they meet, ``noise`` the power of their output's error over that of the float output;
    ``accumulator_bits`` what their sums need for any input. ``error`` says why there is none of it, else it is empty.
    """

    bits: Bits
    edits: Edits = ()
    cycles: int = -1
    latency_s: float = math.nan
    energy_pj: float = math.nan
    area_um2: float = math.nan
    accuracy: float = math.nan
    noise: float = math.nan
    accumulator_bits: int = 0
    error: str = ""

    @property
    def sqnr_db(self) -> float:
        """Signal over quantization noise of the output."""
        return math.inf if self.noise == 0 else -10 * math.log10(self.noise)


@dataclass(eq=False)
class Trials:
    """Trials of one float network; ``base`` is the machine that ``edits`` of a trial change."""

    calibrated: Calibrated | Prepared
    quantize: Quantize
    base: Arch
    objective: Objective
    slots: Slots
    reference: Reference
    inputs: Arrays
    labels: NDArray[Any]
    known: dict[tuple[Bits, Edits], Trial] = field(default_factory=dict)
    answered: dict[object, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, network: FloatNetwork, base: Arch, slots: Slots, **given: Any) -> Trials:
        """Of ``network``, calibrated."""
        return cls(network.calibrated, network.quantize, base, slots=slots, **given)

    @cached_property
    def free(self) -> Calibrated | Prepared:
        """The network whose weights no accumulator holds."""
        return self.calibrated.held_to(None)

    def learn(self, progress: Progress | None = None) -> None:
        """What every layer's weights need at each of their widths, once, layer by layer, before single ones are asked for."""
        widths = sorted(
            {bits for slot in self.slots.slots if slot.place.weights for bits in slot.options}, reverse=True
        )
        for done, bits in enumerate(widths):
            if progress is not None:
                progress("widths of weights", done, len(widths))
            self.free.alone.weights(weights=bits)

    def graph(self, bits: Bits, *, probed: bool = False) -> Graph:
        """The integers of the network at ``bits``, in the arithmetic of the machine; AccelsimError where there are none.

        ``probed``: for what one quantizer does, with the weights that it would have in accumulators of any width.
        """
        form = check_dialect(self.quantize.format)
        calibrated = self.free.alone if probed else self.calibrated
        layers = self.slots.layers(bits)
        made = calibrated.quantized(weights=BASE_BITS, acts=BASE_BITS, layers=layers, dialect=form)
        if self.base.arithmetic is None and self.base.scheme is None:
            return made.graph
        return made.read(arithmetic=self.base.arithmetic, overrides=self.base.operator_schemes)

    def possible(self) -> Slots:
        """The slots without those widths of activations that the network cannot have, all others at 8 bits."""
        options = {}
        for i, slot in enumerate(self.slots.slots):
            if not slot.place.weights:
                options[i] = tuple(bits for bits in slot.options if self._can(i, bits))
        return self.slots.only(options)

    def _can(self, slot: int, bits: int) -> bool:
        if bits == BASE_BITS:
            return True
        base = self.slots.base
        try:
            self.graph((*base[:slot], bits, *base[slot + 1 :]), probed=True)
        except ConfigError:
            raise
        except AccelsimError:
            return False
        return True

    def costs(self, graph: Graph, edits: Sequence[Mapping[str, object]]) -> NDArray[np.void]:
        """Rows of :func:`accelsim.evaluate`; errors of rows stay theirs."""
        return evaluate(graph, arch=self.base, edits=edits, objective=self.objective)

    def noise(self, graph: Graph) -> float:
        """Of the machine's integers."""
        return self.reference.noise(graph, load_for(graph, self.base)[1])

    def one(self, bits: Bits, edits: Edits = ()) -> Trial:
        """The trial of ``bits`` on the machine with ``edits``, made once."""
        key = bits, edits
        if key not in self.known:
            try:
                self.known[key] = self._made(bits, edits)
            except ConfigError:
                raise
            except AccelsimError as error:
                self.known[key] = Trial(bits=bits, edits=edits, error=str(error))
        return self.known[key]

    def baseline(self) -> Trial:
        """W8A8 on the machine as it is, its weights held to no accumulator."""
        free = replace(
            self,
            calibrated=self.free,
            quantize=self.quantize.model_copy(update={"accumulator_bits": None}),
            known={},
            answered={},
        )
        found = free.one(self.slots.base)
        if found.error:
            raise AccelsimError(f"W8A8, where the search starts: {found.error}")
        return found

    def _made(self, bits: Bits, edits: Edits) -> Trial:
        graph = self.graph(bits)
        (row,) = self.costs(graph, [dict(edits)])
        if row["error"]:
            return Trial(bits=bits, edits=edits, error=str(row["error"]))
        _, arch = load_for(graph, self.base.with_(dict(edits)))
        needed = self._proved(graph, arch)
        accuracy, noise = self._answered(bits, edits, graph, arch)
        return Trial(
            bits=bits,
            edits=edits,
            cycles=int(row["cycles"]),
            latency_s=float(row["latency_s"]),
            energy_pj=float(row["energy_pj"]),
            area_um2=float(row["area_um2"]),
            accuracy=accuracy,
            noise=noise,
            accumulator_bits=needed,
        )

    def _proved(self, graph: Graph, arch: Arch) -> int:
        """Bits that the widest sum takes for any input; AccelsimError where sums were to be held to fewer and are not."""
        proofs = prove_graph(graph, arch)
        for proof in proofs:
            if self.quantize.accumulator_bits is not None and not proof.safe:
                raise AccelsimError(
                    f"layer {proof.layer!r}: its sums may take {proof.bits_needed} bits, the accumulator has {proof.accumulator.bits}"
                )
        return max((proof.bits_needed for proof in proofs), default=0)

    def _answered(self, bits: Bits, edits: Edits, graph: Graph, arch: Arch) -> tuple[float, float]:
        """Accuracy and noise, computed once for machines that share an arithmetic."""
        asked = Labelled(self.inputs, self.labels)
        free = asked.arithmetic(graph, arch) is not None
        key = bits, tuple(edit for edit in edits if is_value_path(edit[0])) if free else edits
        if key not in self.answered:
            self.answered[key] = asked.share(graph, arch, self.objective), self.reference.noise(graph, arch)
        return self.answered[key]


def layer_in(graph: Graph, names: Sequence[str]) -> str | None:
    """The layer with constant weights of ``graph`` that has one of ``names``; None where it goes by another."""
    held = {layer.name for layer in graph.layers if isinstance(layer, MacLayer) and len(layer.inputs) == 1}
    return next((name for name in names if name in held), None)
