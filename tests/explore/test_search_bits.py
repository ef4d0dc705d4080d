"""Bits per layer: the programme against brute force, rows that their own commands reproduce, proofs, and what is refused."""

from __future__ import annotations

import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import accelsim
from accelsim.cli import main
from accelsim.errors import AccelsimError, ConfigError, InputError
from accelsim.explore.bits import BitSearch
from accelsim.explore.bits.methods import NOISE, WEIGHTINGS, Programme, descent
from accelsim.explore.bits.proxies import Proxies
from accelsim.explore.bits.slots import Slot, Slots
from accelsim.ptq import Place

pytest.importorskip("scipy", reason="scipy is an extra")
MACHINE = "bit_fusion_16x16"
FEW: dict[str, Any] = {"arch": MACHINE, "test": "digits_float", "widths": (3, 8), "acts": (4, 8), "budget": 10}
FAST = FEW | {"quantize": {"range": "minmax"}, "budget": 4}


@pytest.fixture(scope="module")
def found() -> BitSearch:
    return accelsim.search_bits("digits_float", **FEW)


def proxies(seed: int) -> Proxies:
    """Two activations and three layers that read them, of random costs."""
    random = np.random.default_rng(seed)
    acts = [Slot(Place(name, False, (name,)), (4, 8, 16)) for name in ("a", "b")]
    weights = [
        Slot(Place(name, True, (name,), reads), (2, 5, 8)) for name, reads in (("x", "a"), ("y", "a"), ("z", "b"))
    ]
    slots = Slots((*acts, *weights))
    alone = tuple(random.normal(size=(3, 3)) for _ in slots.slots)
    reads = {2: 0, 3: 0, 4: 1}
    beside = {slot: random.normal(size=(3, 3, 3)) for slot in reads}
    return Proxies(slots, np.array([2.0, 5.0, 3.0]), alone, beside, reads, 0)


@pytest.mark.parametrize("seed", range(4))
def test_the_programme_finds_what_going_through_all_widths_finds(seed: int) -> None:
    known = proxies(seed)
    every = list(itertools.product(*(slot.options for slot in known.slots.slots)))
    costs = np.array([known.of(bits) for bits in every])
    programme = Programme(known)
    assert programme.limits[0] == pytest.approx(costs[:, NOISE].min())
    for weighting, limit in itertools.product(WEIGHTINGS, np.quantile(costs[:, NOISE], (0.02, 0.3, 0.9))):
        weighed = (costs[:, 1:] / known.start[1:]) @ np.asarray(weighting)
        chosen = programme.best(limit, weighting)
        assert chosen is not None
        place = every.index(chosen)
        assert costs[place, NOISE] <= limit + 1e-6
        assert weighed[place] == pytest.approx(weighed[costs[:, NOISE] <= limit].min(), rel=1e-3)
    assert programme.best(costs[:, NOISE].min() - 1, WEIGHTINGS[0]) is None


def test_descent_saves_energy_with_every_step_until_none_does() -> None:
    known = proxies(3)
    path = list(descent(known))
    energies = [known.of(bits)[1] for bits in path]
    assert len(path) > 3
    assert (np.diff(energies) < 0).all()
    assert all(sum(a != b for a, b in zip(one, after, strict=True)) == 1 for one, after in itertools.pairwise(path))


@pytest.fixture(scope="module")
def piped() -> BitSearch:
    steps = {"pipeline": "nagel", "without_steps": ["equalization"], "with_steps": ["bias-correction"]}
    chosen = steps | {"adaround_iterations": 10}
    return accelsim.search_bits("digits_float", **FEW | {"quantize": chosen, "budget": 6, "widths": (4, 8)})


@pytest.mark.parametrize("which", ["found", "piped"])
def test_rows_are_what_their_own_commands_make(
    which: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of the front has mixed widths; its command is run as it is printed."""
    monkeypatch.chdir(tmp_path)
    found: BitSearch = request.getfixturevalue(which)
    trial = next(x for x in found.front if len(set(x.bits)) > 1)
    for command in found.command(trial).split(" && "):
        words = shlex.split(command)
        assert words[0] == "accelsim"
        written = ["--json", "row.json"] if words[1] == "run" else []
        done = CliRunner().invoke(main, [*words[1:], *written])
        assert done.exit_code == 0, done.output
    row = json.loads(Path("row.json").read_text())
    assert row["total"]["cycles"] == trial.cycles
    assert row["total"]["energy_pj"] == pytest.approx(trial.energy_pj, rel=1e-12)
    assert row["values"]["accuracy"] == trial.accuracy


def test_what_a_search_says_of_itself(found: BitSearch) -> None:
    assert found.accuracy_of == "labels"
    assert found.inputs == 450
    assert len(found.trials) <= FEW["budget"]
    assert found.baseline.bits == found.slots.base
    assert found.best is not None
    assert found.best in found.front
    assert found.best.energy_pj < 0.8 * found.baseline.energy_pj
    assert found.loss(found.best) <= 0.005
    assert 0 < found.hypervolume < 1
    ranks = {(x.proxy, x.truth): x.spearman for x in found.agreements}
    assert ranks["noise", "noise of the integers"] > 0.8
    assert ranks["energy", "energy"] > 0.9
    document = json.loads(found.as_json())
    assert document["front"][0]["command"].startswith("accelsim quantize digits_float ")
    assert len(found.as_csv().splitlines()) == 1 + len(found.front)
    costs = np.array([[x.energy_pj, x.latency_s, -x.accuracy] for x in found.front])
    assert not any((a <= b).all() and (a < b).any() for a, b in itertools.permutations(costs, 2))


def test_sums_are_proved_on_narrow_accumulators_of_the_machine() -> None:
    held = accelsim.search_bits("digits_float", **FAST | {"budget": 3}, accumulator_bits=14)
    assert all(dict(x.edits) == {"accumulator.bits": 14} and not x.error for x in held.trials)
    assert max(x.accumulator_bits for x in held.trials) <= 14 < held.baseline.accumulator_bits
    assert "--accumulator-bits 14" in held.command(held.trials[0])
    assert "--set accumulator.bits=14" in held.command(held.trials[0])


def test_axes_of_the_machine_are_combined_and_greedy_takes_them_too() -> None:
    given = FAST | {
        "edits": {"array.cols": "8"},
        "axes": {"array.rows": ["8", "16"]},
        "method": "greedy",
        "budget": 4,
        "widths": (4,),
        "acts": (8,),
    }
    made = accelsim.search_bits("digits_float", **given)
    assert {x.edits for x in made.trials} == {(("array.rows", 8),), (("array.rows", 16),)}
    assert "--set array.cols=8 --input digits_float --objective edp --set array.rows=8" in made.command(made.trials[0])
    same = {x.bits: x.accuracy for x in made.trials}
    assert all(same[x.bits] == x.accuracy for x in made.trials)


def test_nsga_asks_for_the_same_points_again() -> None:
    pytest.importorskip("optuna", reason="optuna is an extra")
    one, other = (accelsim.search_bits("digits_float", **FAST | {"method": "nsga"}, seed=3) for _ in range(2))
    assert [x.bits for x in one.trials] == [x.bits for x in other.trials]
    assert one.agreements == ()
    assert one.probes == 0


def test_without_labels_the_float_network_answers(tmp_path: Path) -> None:
    images, _ = accelsim.read_inputs(accelsim.importers.inputs_file("digits_float"))
    np.savez(tmp_path / "x.npz", **{name: values[:50] for name, values in images.items()})
    made = accelsim.search_bits(
        "digits_float", **FEW | {"budget": 2, "test": str(tmp_path / "x.npz"), "widths": (8,), "acts": (8,)}
    )
    assert made.accuracy_of == "the float network's answers"
    assert made.float_accuracy == 1
    assert made.inputs == 50


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"widths": (1, 8)}, "widths: expected numbers of bits from 2 to 16, got 1"),
        ({"acts": ()}, "acts: expected one or more numbers of bits"),
        ({"method": "magic"}, "method 'magic': expected one of all, milp, greedy, nsga"),
        ({"budget": 1}, "budget: expected 2 points or more, got 1"),
        ({"minutes": 0}, "minutes: expected more than 0, got 0"),
        ({"most_loss": 1.5}, "most_loss: expected a share"),
        ({"axes": {"weights.bits": [4]}}, "axis 'weights.bits': expected a number of the machine"),
        ({"axes": {"array.rows": []}}, "axis 'array.rows': expected one or more values"),
        ({"axes": {"array.rowz": [8]}}, "array.rowz"),
        ({"axes": {"array.rows": range(1, 100)}}, "99 machines"),
        ({"axes": {"accumulator.bits": [16]}, "accumulator_bits": 16}, "give one of both"),
        ({"accumulator_bits": 3}, "accumulator_bits: expected 8 to 32 bits, got 3"),
        ({"quantize": {"with_steps": ["equalization"]}}, "they belong to a pipeline; give pipeline: nagel"),
        ({"quantize": {"pipeline": "nagel", "with_steps": ["weight-only"]}}, "weight-only gives activations 16 bits"),
        ({"quantize": {"pipeline": "nagel", "with_steps": ["magic"]}}, "--with magic: no such step"),
        ({"quantize": {"layers": {"logits": "w8"}}}, "quantize: layers: the search chooses it"),
        ({"calib": "none.npz"}, "no calibration data in none.npz"),
        ({"objective": "speed"}, "speed"),
        ({"minutes": 1e-6}, "minutes: 1e-06 were over before the first point could be run"),
        ({"test": "none.npz"}, "none.npz: no such file"),
    ],
)  # fmt: skip
def test_what_is_refused_says_so_in_a_sentence(given: dict[str, Any], text: str) -> None:
    with pytest.raises((ConfigError, InputError)) as error:
        accelsim.search_bits("digits_float", **FEW | given)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_inputs_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    images, _ = accelsim.read_inputs(accelsim.importers.inputs_file("digits_float"))
    ((name, values),) = images.items()
    np.savez(
        tmp_path / "nan.npz", **{name: np.where(np.arange(values.size).reshape(values.shape) == 3, np.nan, values)}
    )
    np.savez(tmp_path / "codes.npz", **{name: values.astype(np.int8)})
    with pytest.raises(InputError, match=r"nan\.npz: input 'image' holds nan at index"):
        accelsim.search_bits("digits_float", **FEW | {"test": str(tmp_path / "nan.npz")})
    with pytest.raises(InputError, match=r"codes\.npz: input '\w+' holds int8; expected real numbers"):
        accelsim.search_bits("digits_float", **FEW | {"test": str(tmp_path / "codes.npz")})


def test_a_network_without_calibration_data_asks_for_it() -> None:
    with pytest.raises(InputError, match="mobilenet_v2: no calibration data; give --calib FILE"):
        accelsim.search_bits("mobilenet_v2", arch=MACHINE)


def test_a_quantized_network_is_refused() -> None:
    with pytest.raises(AccelsimError, match="quantized already"):
        accelsim.search_bits("digits_cnn", arch=MACHINE, calib=str(accelsim.importers.inputs_file("digits_float")))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--widths", "4;8"), "--widths '4;8': expected numbers of bits with commas"),
        (("--most-loss", "little"), "--most-loss 'little': expected a share"),
        (("-o", "front.txt"), "expected a file name that ends in .json or .csv"),
        (("--axis", "array.rows"), "expected PATH=VALUE"),
    ],
)
def test_the_command_refuses_in_one_line(words: tuple[str, ...], text: str) -> None:
    done = CliRunner().invoke(main, ["search-bits", "digits_float", "--arch", MACHINE, *words])
    assert done.exit_code == 1
    assert text in done.stderr
    assert len([line for line in done.stderr.splitlines() if "error" in line]) == 1


def test_the_command_prints_the_front_and_writes_it(tmp_path: Path) -> None:
    words = [
        "--widths",
        "4,6",
        "--acts",
        "8",
        "--budget",
        "5",
        "--method",
        "greedy",
        "--most-loss",
        "2%",
        "--range",
        "minmax",
    ]
    file = tmp_path / "front.csv"
    done = CliRunner().invoke(
        main, ["search-bits", "digits_float", "--arch", MACHINE, "--test", "digits_float", *words, "-o", str(file)]
    )
    assert done.exit_code == 0, done.output
    assert "best within 2.00%: point" in done.stdout
    assert "proxy of energy and energy: Spearman" in done.stdout
    assert file.read_text().startswith("point,energy_pj,")
