"""Operands of 1 to 16 bits, mixed per layer: tiles, whole layers and plain integers agree; bytes follow the widths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.builder import build_program
from accelsim.errors import ProgramError
from accelsim.execute import WholeReader, accumulator_formats, run_program
from accelsim.execute.tape import TapeWriter
from accelsim.graph import MacLayer
from accelsim.hardware import Engine, packs, stored
from accelsim.mapper import map_graph
from accelsim.numerics import BIPOLAR, IntFormat
from accelsim.program import check_program
from accelsim.simulation import run
from accelsim.timing import schedule
from tests.mixed_formats import mixed_arch, mixed_graph, mixed_input, mixed_program, values_by_definition
from tests.networks import conv

seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))


def assert_same(values: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert values.keys() == expected.keys()
    for name in expected:
        assert values[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(values[name], expected[name], err_msg=name)


@relaxed
@given(seeds)
def test_tiles_equal_plain_integers_whatever_overflows(seed: int) -> None:
    program = mixed_program(seed)
    check_program(program)
    inputs = mixed_input(np.random.default_rng(seed + 1), program.graph)
    expected = values_by_definition(program, inputs)
    assert_same(run_program(program, inputs), expected)
    assert_same(run_program(program, inputs, timeline=schedule(program)), expected)


@relaxed
@given(seeds)
def test_whole_layers_equal_plain_integers(seed: int) -> None:
    program = mixed_program(seed, **{"accumulator.overflow": "wrap"})
    inputs = mixed_input(np.random.default_rng(seed + 1), program.graph)
    reader = WholeReader(program.graph, accumulators=accumulator_formats(program.graph, program.arch))
    assert_same(reader.run(inputs, keep="all"), values_by_definition(program, inputs))


@relaxed
@given(seeds)
def test_bytes_follow_the_widths(seed: int) -> None:
    program = mixed_program(seed)
    volume = np.array([np.prod(np.subtract(*program.box(i)[::-1])) for i in range(len(program))])
    fetches_windows = program.arch.activation_buffer.im2col == "dram"
    for i in np.flatnonzero(program.engine <= Engine.LOAD_WEIGHTS).tolist():
        layer = program.graph.layers[program.layer[i]]
        formats = {
            Engine.LOAD_WEIGHTS: stored(layer, program.arch).format if isinstance(layer, MacLayer) else None,
            Engine.LOAD_ACTIVATIONS: program.graph.tensors[layer.inputs[0]].format,
            Engine.STORE: program.graph.tensors[layer.output].format,
        }
        fmt = formats[Engine(program.engine[i])]
        if isinstance(layer, MacLayer) and program.engine[i] == Engine.LOAD_ACTIVATIONS and fetches_windows:
            continue  # tests/hardware/test_im2col.py
        channels = program.box(i)[1][0] - program.box(i)[0][0]
        parameters = program.arch.requantizer.parameter_bytes * channels
        packed = -(-int(volume[i]) * fmt.bits // 8)
        if program.engine[i] == Engine.LOAD_WEIGHTS and packs(program.arch):
            assert (program.extent[i], program.amount[i] <= packed + 1 + parameters) == (
                packed,
                True,
            )  # coded, or as it is behind a flag
        else:
            assert program.amount[i] == packed
    for tensor in program.graph.tensors.values():
        assert tensor.bytes == -(-tensor.elements * tensor.format.bits // 8)


@relaxed
@given(seeds)
def test_utilisation_stays_within_the_array(seed: int) -> None:
    graph, arch = mixed_graph(np.random.default_rng(seed)), mixed_arch(np.random.default_rng(seed + 1))
    result = run(graph, arch=arch).result
    for layer in result.layers:
        assert layer.compute_utilization is None or 0 < layer.compute_utilization <= 1
        assert layer.busy_cycles["compute"] == 0 or layer.stream_cycles <= layer.busy_cycles["compute"]
    assert 0 < result.total.utilization <= 1


@relaxed
@given(seeds)
def test_bricks_change_cycles_and_never_codes(seed: int) -> None:
    """A composable array computes what a plain one does, and never takes the array more cycles on the same tiles."""
    rng = np.random.default_rng(seed)
    graph, plain = mixed_graph(rng), mixed_arch(rng, systolic=True)
    ports = {f"array.{port}": int(rng.choice([2, 4, 8, 16])) for port in ("weight_bits", "activation_bits")}
    plain = plain.with_({**ports, "array.brick_bits": None, "weight_buffer.bytes_per_cycle": None})
    split = (
        "channels" if plain.cores.split == "auto" else plain.cores.split
    )  # which auto is chosen depends on the array's rate
    plain = plain.with_({"activation_buffer.bytes_per_cycle": None, "cores.split": split})
    mappings = map_graph(graph, arch=plain)
    inputs = mixed_input(rng, graph)
    programs = [
        build_program(graph, arch=plain.with_({"array.brick_bits": bricks}), mappings=mappings) for bricks in (None, 2)
    ]
    assert_same(*(run_program(program, inputs) for program in programs))
    compute = [program.of_engine(Engine.COMPUTE) for program in programs]
    slow, fast = (program.cycles[rows] for program, rows in zip(programs, compute, strict=True))
    assert (fast <= slow).all()
    assert (programs[0].amount[compute[0]] == programs[1].amount[compute[1]]).all()


def test_the_generator_covers_what_it_says() -> None:
    graphs = [mixed_graph(np.random.default_rng(seed)) for seed in range(150)]
    macs = [layer for graph in graphs for layer in graph.layers if isinstance(layer, MacLayer)]
    weights = {layer.weight_format for layer in macs}
    activations = {graph.tensors[layer.inputs[0]].format for graph in graphs for layer in graph.layers}
    every = {IntFormat(bits, signed) for bits in range(1, 17) for signed in (False, True)} | {BIPOLAR}
    assert len(every - weights) <= 3
    assert len(every - activations) <= 3
    mixed = [{layer.weight_format.bits for layer in g.layers if isinstance(layer, MacLayer)} for g in graphs]
    assert sum(len(widths) > 1 for widths in mixed) > 40
    taped = [TapeWriter(g, dict.fromkeys(g.tensors, 0), None).record(g.layers[0]) is not None for g in graphs]
    assert 15 < sum(taped) < 148  # both the tape and what it leaves to single layers


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("accumulator.products_per_add", "tile"),
        ("accumulator.word_per_slice", False),
        ("accumulator.bias_bits", 8),
        ("array.brick_bits", 2),
    ],
)
def test_every_new_parameter_does_something(path: str, value: object) -> None:
    """Somewhere among a few machines the parameter changes codes, cycles, or what is accepted."""
    changed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        graph = mixed_graph(rng)
        arch = mixed_arch(rng, systolic=True).with_(
            {
                "accumulator.bits": 14,
                "accumulator.overflow": "saturate",
                "accumulator.products_per_add": 1,
                "accumulator.word_per_slice": True,
                "array.weight_bits": 8,
                "array.activation_bits": 8,
                "array.brick_bits": None,
            }
        )
        inputs = mixed_input(rng, graph)
        if path == "accumulator.bias_bits":
            wide = [
                replace(layer, bias=layer.bias + 300)
                if isinstance(layer, MacLayer) and layer.bias is not None
                else layer
                for layer in graph.layers
            ]
            graph = replace(graph, layers=tuple(wide))
        outcomes = [outcome(graph, machine, inputs) for machine in (arch, arch.with_({path: value}))]
        changed += outcomes[0] != outcomes[1]
    assert changed >= 5


def outcome(graph: object, arch: object, inputs: dict[str, np.ndarray]) -> object:
    """All codes and the cycles, or the error."""
    try:
        program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    except ProgramError as error:
        return str(error)
    codes = {name: values.tolist() for name, values in run_program(program, inputs).items()}
    return codes, schedule(program).total_cycles


@pytest.mark.parametrize(("bits", "value"), [(16, 40_000), (16, -32_769), (8, 128), (32, 2**31)])
def test_a_bias_that_does_not_fit_is_refused_by_name(bits: int, value: int) -> None:
    graph = conv(oc=8)
    layer = graph.layers[0]
    bias = np.zeros(8, np.int64)
    bias[5] = value
    graph = replace(graph, layers=(replace(layer, bias=bias),))
    arch = mixed_arch(np.random.default_rng(1)).with_({"accumulator.bias_bits": bits})
    with pytest.raises(ProgramError) as raised:
        run(graph, arch=arch)
    assert str(raised.value) == (
        f"layer {layer.name!r}: the bias {value} of output channel 5 does not fit {bits} bits "
        f"({-(2 ** (bits - 1))}..{2 ** (bits - 1) - 1}); widen accumulator.bias_bits, or set it to null: as wide as the sum"
    )
    fits = replace(layer, bias=np.clip(bias, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    for machine in (arch, arch.with_({"accumulator.bias_bits": None}), arch.with_({"accumulator.bias_bits": 64})):
        assert run(replace(graph, layers=(fits,)), arch=machine).result.total.cycles > 0
