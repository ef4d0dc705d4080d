"""``search_bits``: bits per layer, and numbers of the machine, for accuracy, latency and energy on that machine."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import DEFAULT_ARCH, Arch, load_arch
from accelsim.errors import ConfigError, InputError
from accelsim.explore.accuracy import Arrays
from accelsim.explore.bits.fidelity import Reference, float_answers
from accelsim.explore.bits.genetic import nsga
from accelsim.explore.bits.methods import WEIGHTINGS, Programme, descent, need_scipy
from accelsim.explore.bits.proxies import Proxies, measured
from accelsim.explore.bits.record import Agreement, BitSearch
from accelsim.explore.bits.slots import DEFAULT_ACTS, DEFAULT_WIDTHS, Bits, Slots
from accelsim.explore.bits.trials import Edits, Progress, Trial, Trials
from accelsim.explore.edits import OBJECTIVE, is_network, read_value
from accelsim.explore.float_network import FloatNetwork, Quantize, read_quantize
from accelsim.explore.origin import text_of
from accelsim.importers import inputs_file, resolve_model, shipped_calibration
from accelsim.labels import check_labels
from accelsim.objective import DEFAULT_OBJECTIVE, Objective, checked_objective
from accelsim.simulation import read_inputs

Method = Literal["all", "milp", "greedy", "nsga"]
METHODS: tuple[Method, ...] = get_args(Method)
DEFAULT_BUDGET = 48
"""Points that are run, where nobody says."""
MOST_MACHINES = 64
LADDER = 0.75
"""The share of the budget that goes over the whole range of noise; the rest halves the step around the loss that is allowed."""
MOST_NOISE = 1.0
"""As much as there is signal; where ladders end."""
POINTS = "points"
QUANTIZE: Mapping[str, Any] = {"per_channel": True, "range": "mse", "bias_correction": True}
"""How networks are quantized where nobody says: what low widths need."""
PIPED: Mapping[str, Any] = {"per_channel": True}
"""Where a pipeline's steps do the rest."""
_CHOSEN = ("weights", "acts", "layers")
"""Options of quantization that the search chooses."""
ACCUMULATOR = "accumulator.bits"


def search_bits(
    model: str | Path,
    *,
    arch: str | Path | Arch = DEFAULT_ARCH,
    calib: str | Path | None = None,
    test: str | Path | None = None,
    widths: Sequence[int] = DEFAULT_WIDTHS,
    acts: Sequence[int] = DEFAULT_ACTS,
    edits: Mapping[str, object] | None = None,
    axes: Mapping[str, Sequence[object]] | None = None,
    most_loss: float = 0.005,
    method: Method = "all",
    budget: int = DEFAULT_BUDGET,
    minutes: float | None = None,
    accumulator_bits: int | None = None,
    quantize: Mapping[str, Any] | None = None,
    objective: Objective | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> BitSearch:
    """The front of a float ``model`` in energy, latency and accuracy, over the bits of every layer's weights and of every activation.

    ``calib`` and ``test`` are .npz files as of ``accelsim quantize`` and ``accelsim run``: those that ship with the network where None;
    without labels in ``test`` accuracy is the share of inputs for which the integers have the largest output where the float network has
    it, without ``test`` that over the calibration inputs. ``widths`` and ``acts`` are the bits that weights and activations may have, 8
    always among them; ``edits`` change the machine, ``axes`` have values for it by dotted path, all combinations of which are tried.

    ``method``: ``milp`` solves the multiple-choice knapsack over additive proxies for a ladder of limits on the output's noise; ``greedy``
    lowers widths by the noise that they add for each picojoule saved; ``all`` takes points of both in turn; ``nsga`` asks Optuna's NSGA-II.
    ``budget`` points, at most, are
    quantized, costed exactly and run in integers, within ``minutes``, beside the probes that make the proxies. ``most_loss`` is the
    accuracy that the best row may lose against W8A8. With ``accumulator_bits`` the machine's accumulators have so many, weights are held
    to them, and every row is proved: no input makes a sum overflow. ``quantize`` are other options of ``accelsim quantize``, beside
    :data:`QUANTIZE`, or beside :data:`PIPED` where there is a ``pipeline`` among them. ConfigError, InputError or ModelError where something
    cannot be.
    """
    begun, objective = time.monotonic(), checked_objective(objective or DEFAULT_OBJECTIVE)
    need_scipy()
    _check(method, budget, minutes, most_loss)
    network = _network(model, calib, quantize, accumulator_bits, (*widths, *acts))
    base = (arch if isinstance(arch, Arch) else load_arch(arch)).with_(dict(edits or {}))
    slots = Slots.of(network.calibrated, widths, acts)
    machines = _machines(base, axes or {}, accumulator_bits)
    data = _Data.of(network, test)
    trials = Trials.of(
        network, base, slots, objective=objective,
        reference=Reference.of(network.calibrated, data.calibration, evaluator=network.quantize.evaluator),
        inputs=data.inputs, labels=data.labels,
    )  # fmt: skip
    trials.learn(progress)
    baseline = trials.baseline()
    search = _Search(trials, machines, baseline.accuracy - most_loss, budget, begun, minutes, progress)
    search.run(method, seed)
    made = tuple(search.made)
    if not made:
        raise ConfigError(f"minutes: {minutes:g} were over before the first point could be run; give more")
    if all(x.error for x in made):
        raise ConfigError(f"no point could be run; the first said: {made[0].error}")
    return BitSearch(
        network=network.path.stem, machine=base.name, method=method, slots=slots, baseline=baseline, trials=made,
        most_loss=most_loss, accuracy_of=data.accuracy_of, inputs=len(data.labels), float_accuracy=data.float_accuracy,
        agreements=search.agreements(), probes=search.probes, seconds=time.monotonic() - begun,
        words=_words(str(model), network.quantize, _machine_words(arch, edits or {}), test, objective),
    )  # fmt: skip


def _check(method: str, budget: int, minutes: float | None, most_loss: float) -> None:
    if method not in METHODS:
        raise ConfigError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    if budget < 2:
        raise ConfigError(f"budget: expected 2 points or more, got {budget}")
    if minutes is not None and not 0 < minutes < math.inf:
        raise ConfigError(f"minutes: expected more than 0, got {minutes:g}")
    if not 0 <= most_loss < 1:
        raise ConfigError(f"most_loss: expected a share of 0 or more and below 1, such as 0.005, got {most_loss:g}")


def _network(
    model: str | Path, calib: str | Path | None, quantize: Mapping[str, Any] | None, accumulator_bits: int | None, widths: Sequence[int]
) -> FloatNetwork:  # fmt: skip
    given = dict(quantize or {})
    for name in _CHOSEN:
        if name in given:
            raise ConfigError(f"quantize: {name}: the search chooses it; leave it out")
    options = {**(PIPED if given.get("pipeline") else QUANTIZE), **given, "accumulator_bits": accumulator_bits}
    if calib is not None:
        options["calib"] = str(calib)
    elif not shipped_calibration(resolve_model(model)).is_file():
        raise InputError(
            f"{model}: no calibration data; give --calib FILE (calib=), an .npz with a hundred or so typical inputs under the key 'input' "
            "or the names of the network's inputs"
        )
    read = read_quantize(options)
    return FloatNetwork.of(model, read.in_form_for(widths, every=True) if read.format == "auto" else read)


def _machines(base: Arch, axes: Mapping[str, Sequence[object]], accumulator_bits: int | None) -> list[Edits]:
    """All combinations of the values of ``axes``; ConfigError for a path that is none of the machine, or values it cannot have."""
    read: dict[str, list[object]] = {}
    for path, values in axes.items():
        if is_network(path) or path == OBJECTIVE:
            raise ConfigError(f"axis {path!r}: expected a number of the machine, such as array.rows")
        if not values:
            raise ConfigError(f"axis {path!r}: expected one or more values, such as {path}=8,16")
        read[path] = [read_value(path, value) for value in values]
    if accumulator_bits is not None:
        if ACCUMULATOR in read:
            raise ConfigError(f"axis {ACCUMULATOR!r}: accumulator_bits says it already; give one of both")
        if base.accumulator.bits != accumulator_bits:
            read[ACCUMULATOR] = [accumulator_bits]
    count = math.prod(len(values) for values in read.values())
    if count > MOST_MACHINES:
        raise ConfigError(
            f"axes: {count} machines, of which each takes probes of its own; give {MOST_MACHINES} at most"
        )
    machines = [tuple(zip(read, values, strict=True)) for values in itertools.product(*read.values())]
    for edits in machines:
        base.with_(dict(edits))
    return machines


@dataclass(frozen=True, eq=False)
class _Data:
    """Calibration inputs; those of the accuracy with their labels, the float network's answers where there are no others."""

    calibration: Arrays
    inputs: Arrays
    labels: NDArray[Any]
    accuracy_of: str
    float_accuracy: float

    @classmethod
    def of(cls, network: FloatNetwork, test: str | Path | None) -> _Data:
        calibration, _ = read_inputs(network.calibration)
        inputs, labels = (calibration, None) if test is None else read_inputs(inputs_file(str(test)))
        for name, values in inputs.items():
            if np.asarray(values).dtype.kind != "f":
                raise InputError(
                    f"{test}: input {name!r} holds {np.asarray(values).dtype}; expected real numbers, as the float network takes them"
                )
        try:
            answers = float_answers(network.calibrated, inputs, evaluator=network.quantize.evaluator)
            if labels is not None:
                check_labels(labels, count=len(answers), outputs=_outputs(network))
        except InputError as error:
            raise InputError(
                f"{test or network.calibration}: {str(error).removeprefix('calibration data: ')}"
            ) from error
        if labels is None:
            return cls(calibration, inputs, answers, "the float network's answers", 1.0)
        return cls(calibration, inputs, np.asarray(labels), "labels", float(np.mean(answers == labels)))


def _outputs(network: FloatNetwork) -> int:
    return math.prod(network.calibrated.shapes[network.calibrated.network.outputs[0]])


def _machine_words(arch: str | Path | Arch, edits: Mapping[str, object]) -> tuple[str, ...]:
    named = str(arch.name if isinstance(arch, Arch) else arch)
    return "--arch", named, *(word for path, value in edits.items() for word in ("--set", f"{path}={text_of(value)}"))


def _words(
    model: str, quantize: Quantize, machine: tuple[str, ...], test: str | Path | None, objective: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What all rows' commands share, behind ``accelsim quantize`` and behind the file of ``accelsim run``."""
    calib = ("--calib", str(quantize.calib)) if quantize.calib else ()
    given = ("--input", str(test)) if test is not None else ()
    return (model, *calib, *quantize.options), (*machine, *given, "--objective", objective)


Ladder = Callable[[float], "Bits | None"]
"""Bits for a place from 0, the least noise, to 1, the most."""


TURNS = (0, 1, 3), (1,), (1, 2, 3), (1,)
"""Which of the paths take the next place: that of energy and latency all of them, the descent every second, energy's and latency's one in
four."""
MOST_STEPS = 3
"""Places that are tried for each point of the budget: many have the widths of another."""


def _places() -> Iterator[float]:
    """0, 1, 1/2, 1/4, 3/4 ...: every number of them is spread over the whole."""
    yield from (0.0, 1.0)
    for level in itertools.count(1):
        yield from (odd / 2**level for odd in range(1, 2**level, 2))


@dataclass(eq=False)
class _Search:
    trials: Trials
    machines: Sequence[Edits]
    least_accuracy: float
    budget: int
    begun: float
    minutes: float | None
    progress: Progress | None
    made: dict[Trial, None] = field(default_factory=dict)
    proxies: dict[Edits, Proxies] = field(default_factory=dict)
    _tried: int = 0

    @property
    def probes(self) -> int:
        return sum(known.probes for known in self.proxies.values())

    @property
    def over(self) -> bool:
        late = self.minutes is not None and time.monotonic() - self.begun > 60 * self.minutes
        return late or self._tried >= self.budget

    def run(self, method: Method, seed: int) -> None:
        if method == "nsga":
            asked = nsga(self.trials.possible(), self.machines, self._point, seed=seed)
            for number, _ in enumerate(asked, 1):
                if self.over or number >= MOST_STEPS * self.budget:
                    break
            return
        shares = self._shares()
        for edits in self.machines:
            self.proxies[edits] = measured(self.trials, edits, self.progress)
        for edits, share in zip(self.machines, shares, strict=True):
            known = self.proxies[edits]
            paths = _programmes(known) if method != "greedy" else []
            paths += [_descents(known)] if method != "milp" else []
            self._along(paths, edits, share)

    def _shares(self) -> list[int]:
        """The budget of each machine."""
        each, more = divmod(self.budget, len(self.machines))
        if not each:
            raise ConfigError(
                f"budget: {self.budget} points are less than one for each of {len(self.machines)} machines"
            )
        return [each + (i < more) for i in range(len(self.machines))]

    def _point(self, bits: Bits, edits: Edits) -> Trial:
        """The trial, which counts where it is not one of those made."""
        found = self.trials.one(bits, edits)
        self._tried += found not in self.made
        self.made[found] = None
        if self.progress is not None:
            self.progress(POINTS, self._tried, self.budget)
        return found

    def _along(self, paths: Sequence[Ladder], edits: Edits, budget: int) -> None:
        """W8A8, points along ``paths`` in turn, more of them where the first has the loss that is allowed, and points along all again."""
        until, first = self._tried + budget, self._tried + max(2, round(LADDER * budget))
        if not self.over:
            self._point(self.trials.slots.base, edits)
        tried: dict[float, Trial] = {}
        steps = itertools.islice(zip(_places(), itertools.cycle(TURNS)), MOST_STEPS * budget)
        self._climb(steps, paths, edits, first, tried)
        while not self.over and self._tried < until and (middle := self._between(tried)) is not None:
            bits = paths[0](middle)
            if bits is None:
                break
            tried[middle] = self._point(bits, edits)
        self._climb(steps, paths, edits, until, tried)

    def _climb(
        self, steps: Iterator[tuple[float, tuple[int, ...]]], paths: Sequence[Ladder], edits: Edits, until: int, tried: dict[float, Trial]
    ) -> None:  # fmt: skip
        """Points of ``steps`` as long as fewer than ``until`` were tried; those of the first path go into ``tried`` by their place."""
        while not self.over and self._tried < until and (step := next(steps, None)) is not None:
            place, turn = step
            for path in [paths[k] for k in turn if k < len(paths)] or paths[:1]:
                bits = None if self.over or self._tried >= until else path(place)
                if bits is not None:
                    found = self._point(bits, edits)
                    tried |= {place: found} if path is paths[0] else {}

    def _between(self, tried: Mapping[float, Trial]) -> float | None:
        """The middle of the last place that keeps the accuracy and the next one; None where both have the same bits."""
        places = sorted(tried)
        kept = [place for place in places if tried[place].accuracy >= self.least_accuracy - 1e-12]
        low = max(kept, default=None)
        above = next((place for place in places if low is not None and place > low), None)
        if low is None or above is None or above - low < 1e-3 or tried[low].bits == tried[above].bits:
            return None
        return (low + above) / 2

    def agreements(self) -> tuple[Agreement, ...]:
        """Rank correlations over the points of the machines with proxies."""
        from scipy.stats import kendalltau, spearmanr

        pairs = [(self.proxies[x.edits].of(x.bits), x) for x in self.made if not x.error and x.edits in self.proxies]
        if len(pairs) < 3:
            return ()
        truths: dict[tuple[str, str, int], Callable[[Trial], float]] = {
            ("noise", "noise of the integers", 0): lambda x: x.noise,
            ("noise", "wrong answers", 0): lambda x: 1 - x.accuracy,
            ("energy", "energy", 1): lambda x: x.energy_pj,
            ("latency", "latency", 2): lambda x: x.latency_s,
        }
        return tuple(
            _agreement(names, column, of, pairs, spearmanr, kendalltau) for (*names, column), of in truths.items()
        )


def _agreement(
    names: Sequence[str], column: int, of: Callable[[Trial], float], pairs: Sequence[tuple[NDArray[np.float64], Trial]], rho: Any, tau: Any
) -> Agreement:  # fmt: skip
    proxy, truth = [float(known[column]) for known, _ in pairs], [of(x) for _, x in pairs]
    if len(set(truth)) < 2 or len(set(proxy)) < 2:
        return Agreement(names[0], names[1], math.nan, math.nan, len(pairs))
    return Agreement(names[0], names[1], float(rho(proxy, truth)[0]), float(tau(proxy, truth)[0]), len(pairs))


def _programmes(proxies: Proxies) -> list[Ladder]:
    """A path for each weighting of energy and latency, over the range of noise in equal ratios."""
    programme = Programme(proxies)
    least, most = programme.limits
    low = max(least * 1.02, float(proxies.start[0]) / 4)
    high = max(min(most, MOST_NOISE), low)

    def path(weighting: tuple[float, float]) -> Ladder:
        return lambda place: programme.best(low * (high / low) ** place * (1 + 1e-9), weighting)

    return [path(weighting) for weighting in WEIGHTINGS]


def _descents(proxies: Proxies) -> Ladder:
    steps = list(descent(proxies))
    return lambda place: steps[round(place * (len(steps) - 1))]
