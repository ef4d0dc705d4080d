"""Seeded faults in one layer of the machine's network: each is found in that layer, with its cause, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accelsim.arch import Arch, load_arch
from accelsim.execute import accumulator_report, prove_graph
from accelsim.graph import Dense, Graph, MacLayer
from accelsim.importers import load_graph
from accelsim.numerics import Requant
from accelsim.verification import VerificationReport, names, verify
from accelsim.verification.readings.machine import Machine
from accelsim.verification.widths import study_widths
from tests.verification.networks import chain, digits, digits_layers, images

ORACLE = "tflite-micro"
LAYERS = tuple(digits_layers()[i] for i in (0, 1, 2, 4, 7))
PADDED = tuple(digits_layers()[i] for i in (0, 1, 4))
pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module", autouse=True)
def _micro() -> None:
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro is not installed")


def machine(**edits: object) -> Arch:
    return load_arch("edge_16x16").with_({"arithmetic": ORACLE, **edits})


def with_layer(graph: Graph, name: str, **changes: Any) -> Graph:
    """``graph`` with other parameters in one layer."""
    layers = tuple(replace(layer, **changes) if layer.name == name else layer for layer in graph.layers)
    return replace(graph, layers=layers)


def original() -> tuple[Graph, dict[str, MacLayer]]:
    graph = load_graph(digits(), arithmetic=ORACLE)
    return graph, {layer.name: layer for layer in graph.layers if isinstance(layer, MacLayer)}


def against_micro(graph: Graph) -> VerificationReport:
    return verify(graph, arch=machine(), inputs=images(3)[0], oracle=ORACLE, reference=digits())


def only(report: VerificationReport, layer: str, *causes: str) -> int:
    """Differing codes, all of them in ``layer`` and by one of ``causes``; layers before it agree end to end as well."""
    assert report.complete
    wrong = {each.layer: each for each in report.layers if each.forced.differing}
    assert set(wrong) <= {layer}
    assert set(report.causes()) <= set(causes)
    assert sum(report.causes().values()) == report.differing
    for each in report.layers:
        if each.layer == layer:
            break
        assert each.end_to_end.differing == 0
    return report.differing


def requant_of(layer: MacLayer) -> Requant:
    assert isinstance(layer.requant, Requant)
    return layer.requant


def test_without_a_fault_nothing_differs() -> None:
    report = against_micro(original()[0])
    assert (report.differing, report.differing_end_to_end, report.findings) == (0, 0, ())


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("scheme", ["single", "ethosu_truncate", "single_16"])
def test_rounding_mode(name: str, scheme: str) -> None:
    graph, layers = original()
    requant = requant_of(layers[name])
    if scheme == "single":
        wrong, causes = replace(requant, scheme=scheme), (names.ROUNDING,)
    elif scheme == "ethosu_truncate":
        wrong = replace(requant, scheme=scheme, shift=31 - requant.shift)
        causes = (names.TRUNCATION, names.ROUNDING)
    else:
        narrow = np.minimum((requant.multiplier.astype(np.int64) + 2**15) >> 16, 2**15 - 1).astype(np.int32)
        wrong = replace(requant, scheme=scheme, multiplier=narrow, shift=15 - requant.shift)
        causes = (names.WIDTH, names.ROUNDING)
    report = against_micro(with_layer(graph, name, requant=wrong))
    count = only(report, name, *causes)
    assert report.layer(name).machine_rule == wrong.scheme
    assert report.layer(name).oracle_rule == "tflite_double"
    if scheme == "ethosu_truncate":
        assert count > 0
        assert report.causes()[names.TRUNCATION] > 0.9 * count


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("seed", range(2))
def test_bias_off_by_one(name: str, seed: int) -> None:
    graph, layers = original()
    bias = layers[name].bias
    assert bias is not None
    sign = np.random.default_rng(seed).choice([-1, 1], bias.shape)
    report = against_micro(with_layer(graph, name, bias=bias + sign))
    only(report, name, names.BIAS)
    (finding,) = report.findings
    assert (finding.layer, finding.kind) == (name, names.BIAS)
    assert finding.text == f"{bias.size} of {bias.size} biases differ, by at most 1"


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("ulp", [1, 2**7], ids=["of the 32-bit multiplier", "of the float32 scale"])
def test_scale_one_ulp_less(name: str, ulp: int) -> None:
    graph, layers = original()
    requant = requant_of(layers[name])
    report = against_micro(with_layer(graph, name, requant=replace(requant, multiplier=requant.multiplier - ulp)))
    only(report, name, names.MULTIPLIER)
    assert [(f.layer, f.kind) for f in report.findings] == [(name, names.MULTIPLIER)]


@pytest.mark.parametrize("name", PADDED)
@pytest.mark.parametrize("move", [(1, 0), (0, 1), (1, 1)])
def test_padding_on_the_wrong_side(name: str, move: tuple[int, int]) -> None:
    graph, layers = original()
    geometry = layers[name].geometry
    swapped = replace(geometry, pad_top=geometry.pad_top - move[0], pad_left=geometry.pad_left - move[1])
    report = against_micro(with_layer(graph, name, geometry=swapped))
    assert only(report, name, names.PADDING) > 0
    assert [(f.layer, f.kind) for f in report.findings] == [(name, names.PADDING)]
    assert report.layer(name).forced.max_lsb > 1


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
@pytest.mark.parametrize("bits", [13, 15, 16, 17])
def test_accumulator_too_narrow(bits: int, overflow: str) -> None:
    graph, _ = original()
    x = images(2)[0]
    arch = machine(**{"accumulator.bits": bits, "accumulator.overflow": overflow})
    report = verify(graph, arch=arch, inputs=x, oracle=ORACLE, reference=digits())
    assert set(report.causes()) == {names.ACCUMULATOR}
    assert sum(report.causes().values()) == report.differing > 0
    port = graph.inputs[0].tensor
    codes = x.reshape(len(x), *graph.tensors[port].shape)
    peaks = {r.layer: r.observed_bits for r in accumulator_report(graph, arch=arch, inputs={port: codes}).records}
    for layer in report.layers:
        if layer.forced.differing:
            assert (peaks[layer.layer] or 0) > bits
            assert layer.forced.max_lsb > 1
    assert report.widths is not None
    assert report.widths.smallest == max(bits for bits in peaks.values() if bits is not None) or overflow == "wrap"


def test_the_width_that_is_proved_is_the_smallest_for_the_worst_inputs() -> None:
    """All products of one sign: the sum is the bound itself, and a bit less changes codes."""
    graph = chain(("tflite_double",), scale=2.0**-12, rows=1)
    (layer,) = graph.layers
    assert isinstance(layer, Dense)
    worst = replace(layer, weights=abs(layer.weights), bias=-abs(layer.bias))
    graph = replace(graph, layers=(worst,))
    arch = load_arch("edge_16x16").with_({"accumulator.overflow": "wrap"})
    (proof,) = prove_graph(graph, arch)
    narrow = arch.with_({"accumulator.bits": proof.bits_needed - 1})
    batches = {"t0": np.full((1, *graph.tensors["t0"].shape), -128, np.int8)}
    study = study_widths(Machine(graph, narrow), batches, None)
    assert study is not None
    assert study.smallest == study.proved == proof.bits_needed
    assert [row.bits for row in study.rows if row.differing] == [proof.bits_needed - 1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("place", [0, 1])
def test_zero_point_parity(place: int, seed: int) -> None:
    """Power-of-two scales make ties, an odd zero point tells the two orders apart; the oracle adds it after rounding."""
    schemes = ["float32_half_even", "float32_half_even"]
    right = chain(tuple(schemes), scale=2.0**-9, rows=400, zero_point=3, seed=seed)
    schemes[place] = "onnx_reference"
    wrong = chain(tuple(schemes), scale=2.0**-9, rows=400, zero_point=3, seed=seed)
    x = np.random.default_rng(seed).integers(-128, 128, (1, *right.tensors["t0"].shape)).astype(np.int8)
    report = verify(wrong, arch=machine(), inputs=x, reference=right)
    assert only(report, f"dense_{place}", names.PARITY) > 0
    first = report.layers[place].first
    assert first is not None
    assert first.exact is not None
    assert first.exact.endswith(".5")
