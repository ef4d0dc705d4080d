"""NSGA-II over the widths and machines themselves, by Optuna: what the other methods are compared with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from accelsim.errors import ConfigError
from accelsim.explore.bits.slots import Bits, Slots
from accelsim.explore.bits.trials import Edits, Trial

DIRECTIONS: tuple[Literal["minimize", "maximize"], ...] = ("minimize", "minimize", "maximize")
"""Energy, latency, accuracy."""


def nsga(
    slots: Slots, machines: Sequence[Edits], answer: Callable[[Bits, Edits], Trial], *, seed: int, seeds: Sequence[tuple[Bits, Edits]] = ()
) -> Iterator[Trial]:  # fmt: skip
    """Trials without an end, as NSGA-II (Deb et al. 2002) asks for them, ``seeds`` first; ConfigError where Optuna is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("method nsga needs Optuna: pip install 'accelsim[optuna]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.NSGAIISampler(seed=seed))
    for bits, edits in seeds:
        study.enqueue_trial(_named(slots, machines, bits, edits))
    while True:
        asked = study.ask()
        ranks = [asked.suggest_int(str(i), 0, len(slot.options) - 1) for i, slot in enumerate(slots.slots)]
        machine = asked.suggest_int("machine", 0, len(machines) - 1)
        bits = tuple(slot.options[rank] for slot, rank in zip(slots.slots, ranks, strict=True))
        made = answer(bits, machines[machine])
        if made.error:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(asked, [made.energy_pj, made.latency_s, made.accuracy])
        yield made


def _named(slots: Slots, machines: Sequence[Edits], bits: Bits, edits: Edits) -> dict[str, Any]:
    ranks = {str(i): slot.options.index(b) for i, (slot, b) in enumerate(zip(slots.slots, bits, strict=True))}
    return {**ranks, "machine": list(machines).index(edits)}
