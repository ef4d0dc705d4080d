"""Variants: each a few edits of one network on one machine, simulated as a run of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from accelsim.arch import DEFAULT_ARCH, Arch, did_you_mean, load_arch
from accelsim.errors import AccelsimError, ConfigError
from accelsim.explore.edits import BATCH, OBJECTIVE, Workload, is_network, split
from accelsim.graph import Graph
from accelsim.importers import load_for
from accelsim.objective import DEFAULT_OBJECTIVE, Objective, checked_objective
from accelsim.result import Result
from accelsim.simulation import DEFAULT, simulate

ARCH, MODEL, MAPPING, LEAST = "arch", "model", "mapping", "objective"
KEYS = (ARCH, MODEL, MAPPING, LEAST, BATCH, "weights.bits", "layers.NAME.weights.bits")
"""What a variant edits besides paths of the machine."""
Edits = Mapping[str, object]


@dataclass(frozen=True)
class Variant:
    """One of several runs to compare; ``objective`` None is that of a mapping file, or else the default."""

    name: str
    model: str | Path | Graph
    arch: Arch
    workload: Workload
    mapping: str | Path
    objective: Objective | None

    def simulate(self) -> Result:
        """The Result of its run, with a note for each edit of the network; errors name the variant."""
        with named(self.name):
            model, arch = self.model, self.arch
            if self.workload != Workload():
                graph, arch = load_for(model, arch)
                model = self.workload.of(graph)
            result = simulate(model, arch=arch, mapping=self.mapping, objective=self.objective)
            return result.model_copy(update={"notes": (*result.notes, *_workload_notes(self.workload))})


def variants_of(
    model: str | Path | Graph,
    *,
    arch: str | Path | Arch = DEFAULT_ARCH,
    variants: Mapping[str, Edits],
    mapping: str | Path = DEFAULT,
    objective: Objective | None = None,
) -> tuple[Variant, ...]:
    """What each of ``variants`` is to simulate: ``model`` on ``arch`` with its own edits, by its name.

    An edit is a value at a dotted path of the machine, or one of :data:`KEYS`: a machine or a model in place of ``arch`` or ``model``, a
    mapping or an objective in place of those given, images at a time, bits of weights. Raises ConfigError, which names the variant
    and the path, before anything is simulated.
    """
    base = arch if isinstance(arch, Arch) else load_arch(arch)
    usual = Variant("", model, base, Workload(), mapping, objective)
    return tuple(_variant(name, edits, usual) for name, edits in variants.items())


def simulate_variants(
    model: str | Path | Graph,
    *,
    arch: str | Path | Arch = DEFAULT_ARCH,
    variants: Mapping[str, Edits],
    mapping: str | Path = DEFAULT,
    objective: Objective | None = None,
) -> dict[str, Result]:
    """The Result of each of ``variants`` by its name, as :func:`variants_of` reads them; :func:`accelsim.compare` takes the dictionary."""
    found = variants_of(model, arch=arch, variants=variants, mapping=mapping, objective=objective)
    return {variant.name: variant.simulate() for variant in found}


@contextmanager
def named(name: str) -> Iterator[None]:
    """Let errors begin with the variant's name."""
    try:
        yield
    except AccelsimError as error:
        raise type(error)(f"variant {name!r}: {error}", **error.data) from error


def _variant(name: str, edits: Edits, usual: Variant) -> Variant:
    with named(name):
        if not edits:
            raise ConfigError("edits nothing; expected PATH=VALUE, for example array.rows=32")
        own = dict(edits)
        given, mapping = own.pop(MODEL, usual.model), own.pop(MAPPING, usual.mapping)
        model = given if isinstance(given, Path | Graph) else str(given)
        machine, least = own.pop(ARCH, usual.arch), _objective(own, usual.objective)
        arch = machine if isinstance(machine, Arch) else _machine(machine)
        for path in own:
            _check(path, arch)
        edit = split(own, DEFAULT_OBJECTIVE)
        return Variant(name, model, arch.with_(edit.machine), edit.workload, str(mapping), least)


def _machine(given: object) -> Arch:
    try:
        return load_arch(str(given))
    except ConfigError as error:
        raise ConfigError(f"{ARCH}: {error}", **error.data) from error


def _objective(own: dict[str, object], usual: Objective | None) -> Objective | None:
    """What the tiles minimise, by either name, taken out of ``own``."""
    given = [path for path in (LEAST, OBJECTIVE) if path in own]
    if len(given) > 1:
        raise ConfigError(f"{LEAST}: given twice, as {OBJECTIVE} too; give it once")
    return checked_objective(own.pop(given[0]), where=given[0]) if given else usual


def _check(path: str, arch: Arch) -> None:
    """Raise ConfigError, with the nearest name, unless ``path`` can be edited."""
    if is_network(path):
        return
    try:
        arch.get(path)
    except ConfigError as error:
        near = did_you_mean(path, KEYS)
        if near and "did you mean" not in str(error):
            raise ConfigError(f"{path}: unknown path{near}", path=path) from error
        raise


def _workload_notes(workload: Workload) -> Iterator[str]:
    for path, value in workload.widths:
        yield f"{path} of {value}: weights to be timed and priced, not executed"
    if workload.batch > 1:
        yield f"batch of {workload.batch}: figures are of all {workload.batch} images"
