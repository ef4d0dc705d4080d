"""One call from a model, a machine and inputs to every difference and its cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import DEFAULT_ARCH, Arch, load_arch
from accelsim.errors import GraphError, InputError
from accelsim.execute import gather_inputs, input_notes, random_inputs
from accelsim.graph import Graph, Layer, Reshape
from accelsim.importers import load_for, resolve_model
from accelsim.labels import check_labels
from accelsim.verification import names
from accelsim.verification.effect import output_effect
from accelsim.verification.layers import LayerStudy
from accelsim.verification.oracles import FAKE_QUANT, Oracle, RewritingOracle, is_float, make_oracle
from accelsim.verification.readings.fake_quant import moves_codes
from accelsim.verification.readings.machine import Machine
from accelsim.verification.records import Finding
from accelsim.verification.report import VerificationReport
from accelsim.verification.second_reading import SecondReading, second_reading
from accelsim.verification.steps.step import Pair
from accelsim.verification.structure import findings, paired
from accelsim.verification.tolerance import Tolerance
from accelsim.verification.widths import study_widths

Array = NDArray[Any]
EVERY = "every layer"
RANDOM_INPUTS = 64
"""How many are drawn where none are given."""
Progress = Callable[[str, int, int], None]


def verify(
    model: str | Path | Graph,
    *,
    arch: str | Path | Arch = DEFAULT_ARCH,
    inputs: Mapping[str, Array] | Array | None = None,
    seed: int = 0,
    random_count: int = RANDOM_INPUTS,
    labels: Array | None = None,
    oracle: str = FAKE_QUANT,
    reference: str | Path | Graph | None = None,
    arithmetic: str | None = None,
    tolerance: str = "exact",
    progress: Progress | None = None,
) -> VerificationReport:
    """Compare ``model`` on ``arch`` with ``oracle``, layer by layer and end to end, and name the cause of each difference.

    ``model``, ``arch``, ``inputs`` and ``labels`` are as in :func:`accelsim.run`; without inputs, ``random_count``
    are drawn with ``seed``, every code of an input as likely as any other. ``oracle`` is one of ``ORACLES``.
    ``reference`` is what the oracle runs, where that is not ``model`` itself: the file before export, say. ``tolerance`` is
    ``exact``, ``tosa`` or a number of LSB. Raises an AccelsimError subclass that names the place; nothing is compared then.
    """
    allowed = Tolerance.parse(tolerance)
    machine = arch if isinstance(arch, Arch) else load_arch(arch)
    machine = machine if arithmetic is None else machine.with_({"arithmetic": arithmetic})
    graph, chosen = load_for(model, machine)
    if graph.shape_only:
        raise InputError(f"graph {graph.name!r} carries shapes only; there are no values to verify")
    source = model if reference is None else reference
    known = load_for(source, machine)[0] if is_float(oracle) or isinstance(source, Graph) else resolve_model(source)
    with np.errstate(over="ignore"):
        peer = make_oracle(oracle, known)
    notes: tuple[str, ...]
    if inputs is None:
        batches, notes = random_inputs(graph, count=random_count, seed=seed), (_drawn(random_count, seed),)
    else:
        batches, notes = gather_inputs(graph, inputs), input_notes(graph, inputs)
    if labels is not None:
        if inputs is None:
            raise InputError("verify: labels without inputs; give the inputs that they belong to")
        last = graph.outputs[0].tensor
        outputs, classes = graph.tensors[last].elements, graph.classes(last)
        check_labels(labels, count=len(next(iter(batches.values()))), outputs=outputs, classes=classes)
    report = _Verification(Machine(graph, chosen), peer, oracle, allowed, progress).run(batches, labels)
    again = _again(model, graph, batches) if is_float(oracle) else None
    if again is None:
        return replace(report, notes=notes)
    return replace(report, notes=(*notes, again.note), findings=(*report.findings, *again.findings))


def _again(model: str | Path | Graph, graph: Graph, batches: Mapping[str, Array]) -> SecondReading | None:
    """What another program makes of the file, where there is one."""
    if isinstance(model, Graph):
        return None
    return second_reading(resolve_model(model), graph, {name: batch[0] for name, batch in batches.items()})


def _drawn(count: int, seed: int) -> str:
    return f"{count} random input{'s' if count != 1 else ''}, seed {seed}"


class _Verification:
    def __init__(
        self, machine: Machine, oracle: Oracle, name: str, tolerance: Tolerance, progress: Progress | None
    ) -> None:
        self._machine, self._oracle, self._name = machine, oracle, name
        self._tolerance, self._progress = tolerance, progress
        graph, reference = machine.graph, oracle.graph
        self._pairs = paired(reference, graph)
        if not self._pairs:
            raise GraphError(f"{graph.name!r} and {reference.name!r} have no layer in common; nothing can be compared")
        self._their_inputs = dict(
            zip((p.tensor for p in graph.inputs), (p.tensor for p in reference.inputs), strict=False)
        )

    def run(self, batches: Mapping[str, Array], labels: Array | None) -> VerificationReport:
        graph, count = self._machine.graph, len(next(iter(batches.values())))
        studies = {layer.name: self._study(layer) for layer in graph.layers if layer.name in self._pairs}
        seen: set[str] = set()
        outputs: list[tuple[Array, Array]] = []
        last = graph.outputs[0].tensor
        for i, ours in enumerate(self._machine.run_all(batches)):
            feed = {name: batch[i] for name, batch in batches.items()}
            theirs, plain = self._theirs(feed)
            held = {variable.read: ours[variable.read] for variable in graph.variables}
            seen |= set(self._one(i, {**held, **feed, **theirs}, ours, studies, plain))
            if last in theirs:
                outputs.append((theirs[last], ours[last]))
            if self._progress is not None:
                self._progress("verifying", i + 1, count)
        return VerificationReport(
            model=graph.name,
            arch="—" if self._machine.arch is None else self._machine.arch.name,
            arithmetic=graph.arithmetic,
            oracle=self._name,
            oracle_arithmetic="floating point" if is_float(self._name) else self._oracle.graph.arithmetic,
            tolerance=str(self._tolerance),
            inferences=count,
            layers=tuple(studies[name].result() for name in studies if name in seen),
            output=output_effect(last, outputs, labels if len(outputs) == count else None, graph.classes(last)),
            findings=(*findings(self._oracle.graph, graph, self._pairs), *self._rewriting(studies)),
            unmatched=self._unmatched(seen),
            widths=study_widths(self._machine, batches, labels),
            network=tuple(layer.name for layer in graph.layers),
        )

    def _unmatched(self, seen: Set[str]) -> tuple[str, ...]:
        """Layers that compute something and were not compared: neither they nor, with a runtime as the oracle, what reads them."""
        covered: set[str] = set()
        missing = []
        for layer in reversed(self._machine.graph.layers):
            shown = layer.name in seen or (layer.output in covered and not is_float(self._name))
            if shown:
                covered.update(layer.inputs)
            elif not moves_codes(layer):
                missing.append(layer.name)
        return tuple(reversed(missing))

    def _study(self, layer: Layer) -> LayerStudy:
        pair = Pair(
            reference=self._pairs[layer.name],
            mine=layer,
            reference_tensors=self._oracle.graph.tensors,
            machine=self._machine,
            is_float=is_float(self._name),
            rule=self._oracle.graph.arithmetic,
        )
        oracle = self._oracle
        rewriting = oracle.rewriting_of(pair.reference.output) if isinstance(oracle, RewritingOracle) else ""
        return LayerStudy(pair, self._tolerance, rewriting)

    def _rewriting(self, studies: Mapping[str, LayerStudy]) -> Iterator[Finding]:
        """What an oracle that changes the model put in whose place, where that makes other codes."""
        found = [finding for study in studies.values() if (finding := study.finding()) is not None]
        if isinstance(self._oracle, RewritingOracle) and self._oracle.level:
            yield Finding(layer=EVERY, kind=names.LEVEL, text=self._oracle.level)
        if isinstance(self._oracle, RewritingOracle) and found:
            yield Finding(layer=EVERY, kind=names.REWRITING, text=self._oracle.rewriting)
        yield from found

    def _theirs(self, feed: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """The oracle's codes under the machine's names of tensors; and those of the model as it stands, of a rewriting oracle."""
        inputs = {self._their_inputs[name]: values for name, values in feed.items()}
        made = self._oracle.run(inputs)
        plain = self._oracle.plain(inputs, made) if isinstance(self._oracle, RewritingOracle) else {}
        return self._named(made), self._named(plain)

    def _named(self, made: Mapping[str, Array]) -> dict[str, Array]:
        graph, found = self._machine.graph, {}
        for layer in graph.layers:
            other = self._pairs.get(layer.name)
            if other is not None and other.output in made:
                found[layer.output] = made[other.output].reshape(graph.tensors[layer.output].shape)
        self._share(found, made)
        for mine, their in zip(graph.variables, self._oracle.graph.variables, strict=False):
            if their.read in made:
                found[mine.read] = made[their.read].reshape(graph.tensors[mine.read].shape)
        return found

    def _share(self, found: dict[str, Array], made: Mapping[str, Array]) -> None:
        """The same codes on both sides of a Reshape, of which the oracle may show one: a file has no tensor before axes are dropped."""
        graph, shown = self._machine.graph, {layer.name: layer.output for layer in self._oracle.graph.layers}
        ends = [layer for layer in graph.layers if isinstance(layer, Reshape)]
        for layer in reversed(ends):
            name = shown.get(layer.name, "")
            if layer.output not in found and name in made and made[name].size == graph.tensors[layer.output].elements:
                found[layer.output] = made[name].reshape(graph.tensors[layer.output].shape)
            if layer.output in found and layer.inputs[0] in graph.producer:
                found.setdefault(layer.inputs[0], found[layer.output].reshape(graph.tensors[layer.inputs[0]].shape))
        for layer in ends:
            if layer.inputs[0] in found:
                found.setdefault(layer.output, found[layer.inputs[0]].reshape(graph.tensors[layer.output].shape))

    def _one(
        self,
        inference: int,
        theirs: dict[str, Array],
        ours: Mapping[str, Array],
        studies: Mapping[str, LayerStudy],
        plain: Mapping[str, Array],
    ) -> Iterator[str]:
        """Every layer of one inference; a tensor that the oracle does not show is the machine's, from the oracle's inputs."""
        graph = self._machine.graph
        known = {**graph.constants, **theirs}
        for layer in graph.layers:
            sources = [known[name] for name in layer.inputs]
            if layer.output in theirs and layer.name in studies:
                study, oracle = studies[layer.name], theirs[layer.output]
                study.forced(inference, sources, oracle, plain.get(layer.output))
                study.chained(oracle, ours[layer.output])
                yield layer.name
            elif layer.output not in known:
                tensor = graph.tensors[layer.output]
                made = self._machine.layer(layer, sources)
                known[layer.output] = made.reshape(tensor.shape).astype(tensor.format.dtype)
