"""Accumulator bounds and peaks: against brute force, against the Program that traps, and as the command line prints them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.cli import main
from accelsim.errors import AccumulatorOverflowError
from accelsim.execute import WholeReader, accumulator_formats, accumulator_report, prove_graph, run_program
from accelsim.execute.accumulators import (
    IN_GROUPS,
    IN_ORDER,
    NOTHING,
    TAPE,
    TILES,
    WIDE,
    WRAPPED,
    bits_of,
    formats_bound,
)
from accelsim.graph import Dense, MacGeometry, MacLayer
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph
from accelsim.names import LayerNames
from accelsim.numerics import IntFormat, Requant
from tests.generate import random_arch, random_graph, random_input
from tests.networks import conv, dense


def machine(bits: int, overflow: str = "trap", **edits: object) -> Arch:
    return load_arch("edge_16x16").with_({"accumulator.bits": bits, "accumulator.overflow": overflow, **edits})


def batch(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: x[None] for name, x in inputs.items()}


@example(-1, -1)
@example(0, 0)
@example(-2, -1)
@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_bits_are_the_narrowest_format(a, b):
    low, high = sorted((a, b))
    bits = bits_of(low, high)
    assert IntFormat(bits).contains(low)
    assert IntFormat(bits).contains(high)
    assert bits == 1 or not (IntFormat(bits - 1).contains(low) and IntFormat(bits - 1).contains(high))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(2, 3), st.integers(2, 3), st.integers(-4, 4), st.integers(-30, 30))
def test_the_bound_of_formats_is_reached_by_some_weights_and_inputs(reduction, x_bits, w_bits, zero, bias):
    x_format, w_format = IntFormat(x_bits), IntFormat(w_bits)
    layer = Dense(
        name="l",
        inputs=("x",),
        output="y",
        geometry=MacGeometry(n=1, ih=1, iw=1, ic=reduction, oh=1, ow=1, oc=1),
        weights=np.ones((1, 1, 1, reduction), np.int8),
        weight_format=w_format,
        bias=np.array([bias], np.int64),
        input_zero_point=zero,
    )
    products = [
        w * (x - zero) for x in range(x_format.min, x_format.max + 1) for w in range(w_format.min, w_format.max + 1)
    ]
    largest = max(abs(sum(chosen)) for chosen in itertools.combinations_with_replacement(set(products), reduction))
    assert formats_bound(layer, input_format=x_format) == largest + abs(bias)


@pytest.mark.parametrize("seed", range(25))
def test_observed_within_weights_within_formats(seed):
    rng = np.random.default_rng(seed)
    graph, arch = random_graph(rng), random_arch(rng)
    report = accumulator_report(graph, arch=arch, inputs=batch(random_input(rng, graph)))
    proofs = {proof.layer: proof for proof in prove_graph(graph, arch)}
    assert [r.layer for r in report.records] == [x.name for x in graph.layers if isinstance(x, MacLayer)]
    assert report.inferences == 1
    for record in report.records:
        assert record.observed is not None
        assert max(map(abs, record.observed)) <= record.bound <= record.formats_bound
        proof = proofs[record.layer]
        assert (record.bound, record.proved) == (proof.bound, proof.safe)
        assert (record.weights_bound is None) == (record.operator == "BATCH_MATMUL")
        if record.weights_bound is not None:
            assert record.observed_bits <= record.weights_bits <= record.formats_bits
            assert record.weights_bits == proof.bits_needed


@pytest.mark.parametrize("seed", range(12))
def test_the_observed_width_is_the_one_at_which_the_array_stops_trapping(seed):
    rng = np.random.default_rng(100 + seed)
    ic, oc = int(rng.integers(5, 9)), int(rng.integers(1, 7))
    graph = conv(size=7, ic=ic, oc=oc)
    inputs = random_input(rng, graph)
    small = {"weight_buffer.size_bytes": 200, "activation_buffer.size_bytes": 120, "accumulator.count": 24}
    small["accumulator.products_per_add"] = [1, 4, "tile"][seed % 3]
    arch = machine(32, **small)
    mapping = map_graph(graph, arch=arch)[0]
    assert (mapping.kh, mapping.kw, mapping.ic) != (3, 3, ic)
    bits = accumulator_report(graph, arch=arch, inputs=batch(inputs)).records[0].observed_bits

    def run(width: int) -> dict[str, np.ndarray]:
        narrow = machine(width, **small)
        return run_program(build_program(graph, arch=narrow, mappings=map_graph(graph, arch=narrow)), inputs)

    assert np.array_equal(run(bits)["y"], WholeReader(graph).run(inputs)["y"])
    with pytest.raises(AccumulatorOverflowError):
        run(bits - 1)


def test_peaks_are_taken_over_all_inferences():
    graph = dense()
    rng = np.random.default_rng(4)
    one, two = random_input(rng, graph), random_input(rng, graph)
    apart = [accumulator_report(graph, inputs=batch(x)).records[0].observed for x in (one, two)]
    both = accumulator_report(graph, inputs={"x": np.stack([one["x"], two["x"]])})
    assert both.inferences == 2
    assert both.records[0].observed == (min(a[0] for a in apart), max(a[1] for a in apart))


def test_without_a_machine_the_source_arithmetic_counts():
    report = accumulator_report(dense())
    assert (report.reader, report.overflow, report.inferences, report.proved) == ("layers", None, 0, True)
    assert report.records[0].accumulator == IntFormat(32)
    assert report.records[0].observed is report.records[0].observed_bits is None
    assert report.records[0].kernel == TAPE


@pytest.mark.parametrize(
    ("bits", "overflow", "reader", "kernel"),
    [
        (32, "saturate", "layers", TAPE),
        (32, "wrap", "layers", TAPE),
        (16, "wrap", "layers", WRAPPED),
        (16, "saturate", "program", IN_ORDER),
        (16, "trap", "program", IN_ORDER),
        (64, "trap", "layers", TAPE),
    ],
)
def test_reader_and_kernel_follow_from_the_proof(bits, overflow, reader, kernel):
    report = accumulator_report(conv(), arch=machine(bits, overflow))
    assert (report.reader, report.overflow, report.proved) == (reader, overflow, bits > 16)
    assert report.records[0].kernel == kernel
    assert report.records[0].accumulator == IntFormat(bits)


def test_adder_trees_are_named_and_lower_the_peaks():
    graph = conv()
    inputs = batch(random_input(np.random.default_rng(2), graph))
    records = {
        size: accumulator_report(
            graph, arch=machine(16, "saturate", **{"accumulator.products_per_add": size}), inputs=inputs
        ).records[0]
        for size in (1, 8, "tile")
    }
    assert [record.kernel for record in records.values()] == [IN_ORDER, IN_GROUPS, IN_GROUPS]
    lows, highs = zip(*(record.observed for record in records.values()), strict=True)
    assert lows[0] <= lows[1] <= lows[2] < highs[2] <= highs[1] <= highs[0]
    assert (lows[0], highs[0]) != (lows[2], highs[2])


def test_a_proved_layer_among_unproved_ones_runs_in_exact_tiles():
    graph = load_graph(resolve_model("digits_cnn"))
    report = accumulator_report(graph, arch=machine(20, "saturate"))
    assert report.reader == "program"
    assert {r.proved: r.kernel for r in report.records} == {True: TILES, False: IN_ORDER}


def test_a_scheme_that_no_tape_has_runs_by_itself():
    graph = conv()
    layer = graph.layers[0]
    halves = Requant("shift_half_even", [1], [8], 0, -128, 127)
    graph = replace(graph, layers=(replace(layer, requant=halves),))
    assert accumulator_report(graph, arch=machine(32)).records[0].kernel == WIDE


def test_wide_activations_take_wide_accumulators():
    graph = load_graph(resolve_model("digits_cnn_int16x8"))
    report = accumulator_report(graph, arch=machine(32))
    assert {r.layer: r.accumulator for r in report.records} == accumulator_formats(graph, machine(32))
    assert {r.accumulator for r in report.records} == {IntFormat(64)}


def test_shapes_alone_have_the_bound_of_formats_only():
    report = accumulator_report(conv(shape_only=True), arch=machine(20, "saturate"))
    record = report.records[0]
    assert record.formats_bound == 9 * 4 * 128 * 128
    assert (record.weights_bound, record.weights_bits, record.kernel) == (None, None, NOTHING)
    assert record.formats_bits == 21
    assert (report.reader, report.proved) == (None, False)


def cli(*arguments: str, code: int = 0, columns: str = "") -> str:
    done = CliRunner().invoke(main, ["accumulators", *arguments], env={"COLUMNS": columns})
    assert done.exit_code == code, done.output
    return done.output


def test_the_command_prints_every_layer_and_its_proof():
    out = cli("digits_cnn", "--arch", "edge_16x16")
    graph = load_graph(resolve_model("digits_cnn"))
    report = accumulator_report(graph, arch=load_arch("edge_16x16"))
    known = LayerNames(layer.name for layer in graph.layers)
    short = dict(zip(known.names, known.shown(30), strict=True))
    for record in report.records:
        line = next(line for line in out.splitlines() if line.startswith(short[record.layer]))
        assert all(f"{value:,}" in line for value in (record.formats_bound, record.weights_bound, record.reduction))
        assert line.endswith(f"32  yes     {record.kernel}")
    assert "proved safe in 5 of 5 layers" in out
    assert "450 observed" in out


def test_a_narrow_machine_is_told_apart():
    out = cli(
        "digits_cnn", "--arch", "edge_16x16", "--set", "accumulator.bits=19", "--set", "accumulator.overflow=saturate"
    )
    assert "not proved safe in 3 of 5 layers; overflow: saturate" in out
    assert "through the Program's tiles" in out


def test_without_a_machine_and_for_shapes_only():
    alone = cli("digits_cnn_int16x8")
    assert "no machine was given" in alone
    assert alone.startswith("accumulators of digits_cnn_int16x8 on the source arithmetic tflite-micro\n")
    assert "accumulators of digits_cnn_int8 on edge_16x16\n" in cli("digits_cnn", "--arch", "edge_16x16")
    out = cli("mobilenet_v2", "--arch", "edge_16x16")
    assert "— (the network carries shapes only)" in out
    assert "— (none were given)" in out


@pytest.mark.parametrize("columns", [80, 100, 120, 170])
def test_columns_bounds_the_width(columns):
    out = cli("digits_cnn", columns=str(columns))
    table = [line for line in out.splitlines() if line.startswith(("conv", "depthwise", "pointwise", "logits"))]
    assert len(table) == 5
    assert max(map(len, table)) <= columns
    assert "…" not in "".join(table)
    assert ("not shown for lack of width" in out) == (columns < 170)


def test_inputs_can_be_chosen(tmp_path):
    path = tmp_path / "zeros.npz"
    np.savez(path, input=np.zeros((2, 1, 8, 8, 1), np.int8))
    assert "2 observed" in cli("digits_cnn", "--input", str(path))


def test_edits_need_a_machine():
    out = cli("digits_cnn", "--set", "accumulator.bits=8", code=1)
    assert out.strip() == "accelsim: error: --set edits a machine; give --arch ARCH as well"


def test_an_unknown_model_is_one_line():
    assert cli("nothing.tflite", code=1).startswith("accelsim: error: ")
