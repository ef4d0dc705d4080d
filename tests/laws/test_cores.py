"""Several cores at one DRAM port: laws over generated Programs (those of all Programs: test_laws.py), and cases by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions, load_table
from accelsim.errors import HazardError, ProgramError
from accelsim.execute import run_program
from accelsim.graph import Conv2D, Graph, MacGeometry, Reshape
from accelsim.hardware import Engine
from accelsim.importers import load_graph
from accelsim.mapper import OBJECTIVES, map_graph
from accelsim.program import MacMapping, Program, check_program
from accelsim.result import summarize
from accelsim.simulation import run
from accelsim.timing import schedule, schedule_simpy, stalls
from accelsim.timing.schedule import port_of
from tests.generate import cut_further, random_arch, random_graph, random_input, random_program, roomy
from tests.laws.test_laws import agreed, assert_same, drop_dependency, finished_before, reference
from tests.networks import conv, dense, single, skip_connection
from tests.timing.test_schedulers import A, C, S, W, program_of

EDGE = load_arch("edge_16x16")
FAST = EDGE.with_({"dram.bandwidth_bytes_per_s": 10**15, "dram.latency_ns": 0.0})
"""The port is never what a layer waits for: each transfer takes a cycle."""
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=45, suppress_health_check=list(HealthCheck))


def several(seed: int, *, most_layers: int = 5) -> Program:
    """A random Program for 2 to 6 cores."""
    rng = np.random.default_rng(seed)
    graph, arch = random_graph(rng, most_layers=most_layers), random_arch(rng)
    buffer = arch.activation_buffer
    slots = None if buffer.size_bytes is None else buffer.size_bytes - buffer.kept_bytes
    arch = arch.with_(
        {
            "activation_buffer.size_bytes": slots,
            "activation_buffer.fuse_pairs": False,
            "activation_buffer.resident_bytes": 0,
            "cores.split": str(rng.choice(["auto", "channels", "rows"])),
        }
    )
    arch = roomy(arch, graph).with_({"cores.count": int(rng.integers(2, 7))})
    mappings = map_graph(graph, arch=arch)
    if rng.random() < 0.5:
        mappings = cut_further(rng, graph, arch, mappings)
    return build_program(graph, arch=arch, mappings=mappings)


def on_cores(graph: Graph, arch: Arch, count: int, split: str = "auto", mapping: MacMapping | None = None) -> Program:
    arch = arch.with_({"cores.count": count, "cores.split": split})
    mappings = map_graph(graph, arch=arch) if mapping is None else (mapping,) * len(graph.layers)
    program = build_program(graph, arch=arch, mappings=mappings)
    check_program(program)
    return program


@relaxed
@given(seeds)
def test_schedulers_agree_and_no_bit_changes(seed: int) -> None:
    program = several(seed)
    check_program(program)
    inputs, expected = reference(program, seed)
    assert_same(run_program(program, inputs), expected)
    assert_same(run_program(program, inputs, timeline=agreed(program)), expected)


@relaxed
@given(seeds)
def test_law_4_every_output_is_stored_by_one_core_and_the_products_are_the_graphs(seed: int) -> None:
    program = several(seed)
    assert program.macs == program.graph.macs
    for index, layer in enumerate(program.graph.layers):
        times = np.zeros(layer.output_shape, dtype=np.int64)
        for i in np.flatnonzero((program.layer == index) & program.of_engine(Engine.STORE)).tolist():
            times[tuple(slice(a, b) for a, b in zip(*program.box(i), strict=True))] += 1
        handed_on = any(one.producer <= index < one.consumer for one in program.passes)
        assert isinstance(layer, Reshape) or (times == (0 if handed_on else 1)).all()


@relaxed
@given(seeds)
def test_one_transfer_at_a_time_whichever_core_asks(seed: int) -> None:
    program = several(seed)
    timeline = schedule(program)
    dram = np.flatnonzero(program.engine <= Engine.LOAD_WEIGHTS)
    ports = port_of(program)[program.engine[dram]]
    for port in set(ports.tolist()):
        mine = dram[ports == port]
        order = mine[np.argsort(timeline.start[mine], kind="stable")]
        assert (timeline.start[order][1:] >= timeline.until[order][:-1]).all()
        assert timeline.total_cycles >= program.cycles[mine].sum()


@relaxed
@given(seeds)
def test_every_cycle_of_every_array_has_a_cause_and_times_of_cores_add_up(seed: int) -> None:
    program = several(seed)
    timeline, count = schedule(program), program.arch.cores.count
    result = summarize(timeline, table=load_table("horowitz_45nm"))
    assert sum(result.total.array_cycles.values()) == count * timeline.total_cycles
    assert 0 <= result.total.utilization <= 1
    assert len(result.total.core_busy_cycles) == count
    for engine in Engine:
        name = engine.name.lower()
        by_core = [core[name] for core in result.total.core_busy_cycles]
        mine = program.engine == engine
        assert by_core == [program.cycles[mine & (program.core == core)].sum() for core in range(count)]
        assert all(own <= timeline.busy_cycles(engine, core=core) for core, own in enumerate(by_core))
        assert sum(by_core) == sum(layer.busy_cycles[name] for layer in result.layers)
    for index, layer in enumerate(result.layers):
        assert layer.cores == len(set(program.core[program.layer == index].tolist()))


def between_cores(program: Program) -> np.ndarray:
    """Dependencies of one core's operation on another's."""
    waiting = np.repeat(np.arange(len(program)), np.diff(program.dependency_start))
    return np.flatnonzero(program.core[waiting] != program.core[program.dependencies])


def test_a_forgotten_wait_for_another_core_is_caught_both_ways() -> None:
    """Each load that needs what another core stored: without the wait the checker names it, or nothing can go wrong."""
    by_checker = by_reader = 0
    for seed in range(100):
        program = several(seed, most_layers=3)
        inputs, expected = reference(program, seed)
        edges = between_cores(program)
        rng = np.random.default_rng(seed)
        for edge in rng.permutation(edges)[:3].tolist():
            waiting = int(np.searchsorted(program.dependency_start, edge, side="right")) - 1
            on = int(program.dependencies[edge])
            broken = drop_dependency(program, edge)
            if finished_before(broken)[waiting, program.queue[on]] >= on:
                check_program(broken)
                continue
            with pytest.raises(HazardError, match=f"{on} .*may not have stored yet"):
                check_program(broken)
            by_checker += 1
            late = broken.replace(latency=np.where(np.arange(len(broken)) == on, 10**6, broken.latency))
            try:
                assert_same(run_program(broken, inputs, timeline=schedule(late)), expected)
            except HazardError:
                by_reader += 1
    assert by_checker >= 40
    assert by_reader >= 40


def test_what_one_core_holds_another_cannot_read() -> None:
    program = on_cores(conv(size=10, ic=8, oc=24), EDGE, 2, "rows")
    compute = int(np.flatnonzero(program.of_engine(Engine.COMPUTE) & (program.core == 1))[0])
    core = program.core.copy()
    core[int(program.operands(compute)[0])] = 0
    with pytest.raises(ProgramError, match=rf"operation {compute} \(core 1, compute .* in another core's memory"):
        check_program(program.replace(core=core))


@pytest.mark.parametrize("wrong", [-1, 2])
def test_a_core_that_does_not_exist(wrong: int) -> None:
    program = on_cores(dense(units=8), EDGE, 2)
    with pytest.raises(ProgramError, match=r"core numbers must lie in 0\.\.1"):
        check_program(program.replace(core=np.full_like(program.core, wrong)))


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary"])
@pytest.mark.parametrize(("split", "count"), [("channels", 2), ("rows", 2), ("channels", 4), ("rows", 8)])
def test_an_even_split_takes_each_array_an_even_part_of_the_time(dataflow: str, split: str, count: int) -> None:
    """64 channels and 8 rows of 8 pixels in tiles of 16 channels and one row: as many equal tiles on each core."""
    graph, arch = conv(size=8, ic=16, oc=64, k=1), FAST.with_({"array.dataflow": dataflow})
    order = (
        "weights_outer" if split == "channels" else "activations_outer"
    )  # as many tiles find their weights in the array
    mapping = MacMapping(oh=1, ow=8, oc=16, ic=16, kh=1, kw=1, order=order)
    one, more = (schedule(on_cores(graph, arch, n, split, mapping)) for n in (1, count))
    busy = [more.busy_cycles(Engine.COMPUTE, core=core) for core in range(count)]
    assert busy == [one.busy_cycles(Engine.COMPUTE) // count] * count
    assert sum(busy) == one.busy_cycles(Engine.COMPUTE)


@pytest.mark.parametrize("split", ["channels", "rows"])
def test_two_cores_take_half_the_time_of_a_layer_that_computes(split: str) -> None:
    """Nothing but the array counts: the first tile's two loads come before it, requantization (16 lanes) and store after it.

    A tile is 64 pixels x 16 channels: 64 cycles of requantization and, on a 16 x 16 array, 2 x 16 + 16 + 64 - 2 = 110 cycles for
    each of its 16 folds of the reduction.
    """
    graph = conv(size=16, ic=256, oc=64, k=1)
    mapping = MacMapping(oh=4, ow=16, oc=16, ic=256, kh=1, kw=1)
    one, two = (schedule(on_cores(graph, FAST, count, split, mapping)) for count in (1, 2))
    tile, around = 16 * 110, 2 + 64 + 1
    assert (one.busy_cycles(Engine.COMPUTE), two.busy_cycles(Engine.COMPUTE, core=0)) == (16 * tile, 8 * tile)
    reloads = 2 * around  # at most: weights that stay need not be shifted in again
    assert 16 * tile <= one.total_cycles <= 16 * tile + reloads
    assert 8 * tile <= two.total_cycles <= 8 * tile + reloads + 2  # and the loads of core 0's first tile come first


@relaxed
@given(seeds)
def test_more_cores_are_not_slower_where_only_the_array_counts(seed: int) -> None:
    """A layer of 1 to 8 rows and column tiles, transfers of a cycle: the largest share, not the number of cores, decides."""
    rng = np.random.default_rng(seed)
    rows, units = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    graph = dense(rows=8 * rows, k=512, units=16 * units, shape_only=True)
    mapping = MacMapping(oh=8, ow=1, oc=16, ic=512, kh=1, kw=1)
    split, count = [("rows", 8 * rows), ("channels", 16 * units)][int(rng.integers(2))], int(rng.integers(2, 9))
    one, more = (schedule(on_cores(graph, FAST, n, split[0], mapping)) for n in (1, count))
    assert more.total_cycles <= one.total_cycles + 2 * count  # each core's first two loads
    share = -(-split[1] // count) / split[1]
    tiles = rows * units
    tile = one.busy_cycles(Engine.COMPUTE) / tiles
    assert more.total_cycles <= (share * tiles + max(rows, units)) * tile + 2 * count + 100


def test_channels_repeat_activations_and_rows_repeat_weights() -> None:
    graph = conv(size=8, ic=16, oc=32, k=1)
    whole = MacMapping(oh=8, ow=8, oc=32, ic=16, kh=1, kw=1)
    one, channels, rows = (
        on_cores(graph, EDGE, count, split, whole) for count, split in ((1, "auto"), (4, "channels"), (4, "rows"))
    )
    loaded = [
        [int(p.amount[p.of_engine(e)].sum()) for e in (Engine.LOAD_WEIGHTS, Engine.LOAD_ACTIVATIONS)]
        for p in (one, channels, rows)
    ]
    assert loaded == [[512, 1024], [512, 4 * 1024], [4 * 512, 1024]]
    for program in (channels, rows):
        assert count_actions(program).array_mac.sum() == count_actions(one).array_mac.sum() == graph.macs


def test_the_port_serves_equal_requests_by_engine_then_by_core() -> None:
    arch = EDGE.with_({"cores.count": 2})
    program = program_of([W, A, W, A, S], [3, 3, 3, 3, 3], [[], [], [], [], []])
    program = program.replace(arch=arch, core=np.array([1, 1, 0, 0, 1], dtype=np.int16))
    for scheduler in (schedule, schedule_simpy):
        assert scheduler(program).start.tolist() == [12, 6, 9, 3, 0]


def test_arrays_of_two_cores_work_side_by_side_and_wait_for_each_other() -> None:
    """Core 0 computes 0-10 and 20-25, core 1 waits for its first and computes 10-20, which core 0's second waits for."""
    program = program_of([C, C, C], [10, 10, 5], [[], [0], [1]])
    program = program.replace(arch=EDGE.with_({"cores.count": 2}), core=np.array([0, 1, 0], dtype=np.int16))
    timeline = schedule(program)
    assert timeline.start.tolist() == [0, 10, 20]
    waits = {cause: cycles for cause, cycles in stalls(timeline).by_cause().items() if cycles}
    assert waits == {"other cores": 10 + 10 + 5}


def test_a_single_core_does_not_care_how_layers_would_be_split() -> None:
    graph = skip_connection()
    programs = [on_cores(graph, EDGE, 1, split) for split in ("auto", "channels", "rows")]
    for program in programs[1:]:
        for name in ("core", "engine", "cycles", "offset", "lo", "hi", "dependencies", "dependency_start"):
            np.testing.assert_array_equal(getattr(program, name), getattr(programs[0], name))
    assert not programs[0].core.any()


def test_a_network_reads_like_one_with_its_cores() -> None:
    result = run("digits_cnn", arch=EDGE.with_({"cores.count": 4})).result
    assert "4 cores of 16×16 weight stationary" in str(result)
    assert "cycles in 4 cores" in str(result)
    assert max(layer.cores for layer in result.layers) == 4
    single = run("digits_cnn", arch=EDGE).result
    assert "cores" not in str(single)
    assert result.total.macs == single.total.macs
    assert result.total.compute_bound_cycles < single.total.compute_bound_cycles


def test_shape_only_layers_wait_for_all_cores_of_the_layer_before(tmp_path: Path) -> None:
    """A table of layers does not say who reads what: each first load waits for the last store of every core."""
    table = tmp_path / "layers.csv"
    table.write_text("Layer,M,N,K\na,40,30,20\nb,2,70,50\nc,10,2,30\nd,9,9,9\n", encoding="utf-8")
    graph = load_graph(table)
    assert graph.shape_only
    program = on_cores(graph, EDGE, 3, "channels")
    stores = program.of_engine(Engine.STORE)
    made_by = []
    for index in range(1, len(graph.layers)):
        made = np.flatnonzero(stores & (program.layer == index - 1))
        before = {int(made[program.core[made] == core][-1]) for core in np.unique(program.core[made])}
        first = np.flatnonzero((program.layer == index) & program.of_engine(Engine.LOAD_ACTIVATIONS))[0]
        assert before <= set(program.waits_for(int(first)).tolist())
        made_by.append(len(before))
    assert made_by == [3, 3, 2]


def test_random_programs_of_the_other_laws_have_several_cores_too() -> None:
    counts = [random_program(seed).arch.cores.count for seed in range(60)]
    assert sum(count > 1 for count in counts) >= 10
    assert random_input(np.random.default_rng(0), several(0).graph).keys() == {"x"}


def test_a_tile_has_room_on_every_core() -> None:
    """A core's rows inside an image see more of it than the first ones, below padding: whatever a slot holds, no tile is larger."""
    for slot in range(9, 70, 3):
        for height, kernel in ((18, 5), (13, 3)):
            geometry = MacGeometry(
                n=1, ih=height, iw=1, ic=3, oh=height, ow=1, oc=2, kh=kernel, kw=1, pad_top=kernel // 2
            )
            edits = {"activation_buffer.size_bytes": 2 * slot, "cores.count": 3, "cores.split": "rows"}
            graph, arch = single(Conv2D, geometry), EDGE.with_(edits)
            for objective in OBJECTIVES:
                mappings = map_graph(graph, arch=arch, objective=objective)
                check_program(build_program(graph, arch=arch, mappings=mappings))
