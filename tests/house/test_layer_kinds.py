"""A new kind of layer is complete, or a test here names what is missing: its drawer, kernel rule, tape writer, floating-point reading."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from accelsim.arch import ARITHMETICS, DATAFLOWS
from accelsim.execute.tape import _WRITERS, NOT_ON_TAPE
from accelsim.graph import Layer, MacLayer, VectorLayer
from accelsim.kernels.vector import _RULES
from accelsim.verification.readings.fake_quant import READINGS
from tests.generate import DRAWERS, random_program


def kinds(base: type[Layer] = Layer) -> Iterator[type[Layer]]:
    """Concrete subclasses: those that name an operator."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("accelsim.") and "operator" in vars(kind):
            yield kind
        yield from kinds(kind)


KINDS = sorted(set(kinds()), key=lambda kind: kind.__name__)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@every_kind
def test_the_laws_draw_it(kind: type[Layer]) -> None:
    assert kind in DRAWERS, (
        f"{kind.__name__} is never drawn by the laws: give it a drawer in tests/generate.py, DRAWERS"
    )


def test_every_drawer_draws_its_kind_and_every_machine_is_met() -> None:
    programs = [random_program(seed) for seed in range(1200)]
    layers = [layer for program in programs for layer in program.graph.layers]
    drawn = {type(layer) for layer in layers}
    assert drawn == set(KINDS), f"never drawn: {[kind.__name__ for kind in set(KINDS) - drawn]}; see tests/generate.py"
    assert {program.arch.array.dataflow for program in programs} == set(DATAFLOWS)
    assert {program.arch.activation_buffer.im2col for program in programs} == {"implicit", "buffer", "dram"}
    assert {program.arch.cores.count for program in programs} >= {1, 2, 3, 5}
    assert {program.arch.dma.queues for program in programs} == {1, 2, 3}
    assert {program.arch.dma.weight_compression for program in programs} == {None, "zero_run_length"}
    assert {program.graph.arithmetic.partition("+")[0] for program in programs} == set(ARITHMETICS)
    assert {t.format.bits for program in programs for t in program.graph.tensors.values()} == {4, 8, 16}
    assert {layer.weight_format.bits for layer in layers if isinstance(layer, MacLayer)} == {4, 8, 9, 16}
    asymmetric = [
        p for p in programs if any(isinstance(x, MacLayer) and x.has_weight_zero_points for x in p.graph.layers)
    ]
    assert {p.arch.array.weight_zero_points for p in asymmetric} == {"subtract", "extra_channel"}
    assert {program.arch.weight_buffer.coding for program in programs} == {None, "codebook", "golomb_rice"}
    endings = {layer.requant.scheme for layer in layers if isinstance(layer, MacLayer)}
    assert endings > {"finn_thresholds", "tflite_double", "float32_half_even", "nvdla_cvt", "single", "half_up_twice"}
    assert sum(bool(mapping and mapping.band) for program in programs for mapping in program.mappings) > 60
    assert np.mean([len(program.graph.layers) for program in programs]) > 2


@every_kind
def test_it_has_a_kernel_rule(kind: type[Layer]) -> None:
    known = issubclass(kind, MacLayer) or (issubclass(kind, VectorLayer) and kind in _RULES)
    assert known, (
        f"{kind.__name__} has no integers: give it a rule in accelsim/kernels/vector.py, or make it a MacLayer"
    )


@every_kind
def test_it_has_a_tape_writer_or_a_reason_for_none(kind: type[Layer]) -> None:
    written, excused = issubclass(kind, MacLayer) or kind in _WRITERS, kind in NOT_ON_TAPE
    assert written != excused, (
        f"{kind.__name__}: accelsim/execute/tape.py needs a writer in _WRITERS or a reason in NOT_ON_TAPE, "
        f"it has {'both' if written else 'neither'}"
    )


@every_kind
def test_it_has_a_floating_point_reading_or_a_reason_for_none(kind: type[Layer]) -> None:
    assert kind in READINGS, (
        f"{kind.__name__}: state its reading, or why it has none, in verification/readings/fake_quant.py"
    )


def test_reasons_name_kinds_that_exist() -> None:
    assert set(NOT_ON_TAPE) <= set(KINDS)
    assert set(DRAWERS) <= set(KINDS)
