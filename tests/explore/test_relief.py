"""Which change relieves a layer: the stated gain is that of a simulation of the edited machine."""

from __future__ import annotations

import pytest

import accelsim
from accelsim.errors import AccelsimError
from accelsim.explore import reliefs
from accelsim.explore.relief import _QUEUES, KNOBS, _edit
from accelsim.result import BOUNDS, LEAST_GAIN, Change, Reliefs


@pytest.mark.parametrize("arch", ["edge_16x16", "nvdla_small"])
def test_the_stated_gain_is_that_of_the_edited_machine(arch: str) -> None:
    machine = accelsim.load_arch(arch)
    found = reliefs("digits_cnn", arch=arch)
    base = accelsim.simulate("digits_cnn", arch=arch)
    assert found.base == base
    told = [relief for layer in base.layers if (relief := found.of(layer))]
    assert told
    again = {}
    for layer in base.layers:
        relief = found.of(layer)
        if relief is None:
            continue
        text = relief.change.text
        if text not in again:
            again[text] = accelsim.simulate("digits_cnn", arch=machine.with_(relief.change.edit))
        after = again[text].layers[layer.index].cycles
        assert (relief.before, relief.after) == (layer.cycles, after)
        assert relief.gain == pytest.approx(1 - after / layer.cycles)
        tried = [change.result.layers[layer.index].cycles for change in found.changes if change.result]
        assert after == min(tried)


def test_the_mapper_and_the_objective_are_those_of_the_run() -> None:
    found = reliefs("digits_cnn", arch="edge_16x16", objective="cycles", base=None)
    assert (
        {change.result.objective for change in found.changes if change.result} == {"cycles"} == {found.base.objective}
    )
    assert {change.result.mapper for change in found.changes if change.result} == {"default"}


def test_only_what_answers_a_bound_is_tried() -> None:
    found = reliefs("digits_cnn", arch="edge_16x16")
    bounds = {layer.bound for layer in found.base.layers}
    paths = {path for change in found.changes for path in change.edit}
    assert ("vector.lanes" in paths) == ("vector" in bounds)
    assert ("requantizer.lanes" in paths) == ("requantize" in bounds)
    assert "dma.queues" not in paths  # there are three already


def test_an_adder_tree_keeps_its_products() -> None:
    found = reliefs("digits_cnn", arch="nvdla_small")
    rows = [change for change in found.changes if "array.rows" in change.edit]
    assert all(set(change.edit) == {"array.rows", "accumulator.products_per_add"} for change in rows)
    assert all(change.result is not None for change in rows)


def test_a_refused_change_says_why_and_relieves_nothing() -> None:
    base = accelsim.simulate("digits_cnn", arch="edge_16x16")
    found = Reliefs(base, (Change("a change", {"array.rows": 0}, None, "refused"),))
    assert all(found.of(layer) is None for layer in base.layers)
    same = Reliefs(base, (Change("nothing", {}, base),))
    assert all(same.of(layer) is None for layer in base.layers)
    assert 0 < LEAST_GAIN < 1


def test_every_bound_has_an_answer() -> None:
    assert set(KNOBS) == set(BOUNDS)
    paths = set(accelsim.load_arch("edge_16x16").paths())
    assert {knob.path for knobs in KNOBS.values() for knob in knobs} <= paths


@pytest.mark.parametrize(("queues", "more"), [(1, 2), (2, 3), (3, None)])
def test_one_queue_more_where_there_is_one(queues: int, more: int | None) -> None:
    arch = accelsim.load_arch("edge_16x16").with_({"dma.queues": queues})
    assert _edit(arch, _QUEUES) == ({} if more is None else {"dma.queues": more})


def test_every_other_answer_is_the_stated_factor_and_nothing_of_nothing() -> None:
    arch = accelsim.load_arch("edge_16x16").with_({"dram.latency_ns": 0})
    for knob in {knob for knobs in KNOBS.values() for knob in knobs} - {_QUEUES}:
        edit, value = _edit(arch, knob), arch.get(knob.path)
        if not isinstance(value, int | float) or not value:
            assert edit == {}
        else:
            assert edit[knob.path] == pytest.approx(value * knob.factor, abs=1)
            assert knob.factor in (0.5, 2)


def test_a_machine_that_is_none_raises() -> None:
    with pytest.raises(AccelsimError):
        reliefs("digits_cnn", arch="no_such_machine")
