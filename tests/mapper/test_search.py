"""The mapping search: its bounds hold for every tiling, its best is the best, and narrowing the machine is noticed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.arch import STREAMS, Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import Costs, EnergyTable, idle_energy, load_table
from accelsim.errors import MappingError
from accelsim.graph import Conv2D, Graph, HostPort, MacGeometry, MacLayer, Tensor
from accelsim.hardware import Loops, Memory, activation_share, compiled, machine_of, operand_bits, slot_capacity
from accelsim.hardware.array import ComputeTiles, array_cost
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import OBJECTIVES, map_layer, search_graph, search_mapping, search_network
from accelsim.mapper.exhaustive import _finalists
from accelsim.mapper.exhaustive.clock import Clock
from accelsim.mapper.exhaustive.layer import LayerSearch
from accelsim.mapper.exhaustive.problem import (
    alone_of,
    mapping_of,
    problem_of,
    scheduled,
    shares_of,
)
from accelsim.mapper.exhaustive.space import Space, space_of, space_size
from accelsim.mapper.tiling import Weigh, tile_sizes
from accelsim.mapper.tiling._sums import Seen
from accelsim.mapper.tiling.problem import THROUGH_DRAM, OnChip
from accelsim.numerics import INT8, IntFormat
from accelsim.program import check_program
from accelsim.program.residency import likely_kept
from accelsim.timing import schedule
from tests.compiled import callable_from_python
from tests.generate import random_arch
from tests.measured import printed

TABLE = load_table("horowitz_45nm")
REGISTERS, LEAKING = load_table("aladdin_40nm"), load_table("bitfusion_45nm")
KEPT = [THROUGH_DRAM, OnChip(True, False), OnChip(False, True), OnChip(True, True)]
relaxed = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


def layer_of(geometry: MacGeometry, weight_bits: int = 8, activation: IntFormat = INT8) -> tuple[Conv2D, Graph]:
    """A graph of shapes with one layer of ``geometry``."""
    layer = Conv2D(
        name="layer", inputs=("x",), output="y", geometry=geometry, weights=None, weight_format=IntFormat(weight_bits)
    )
    tensors = {
        "x": Tensor("x", geometry.input_shape, activation),
        "y": Tensor("y", geometry.output_shape, INT8),
    }
    ports = {"inputs": (HostPort("x", "x"),), "outputs": (HostPort("y", "y"),)}
    return layer, Graph(name="one", arithmetic="-", tensors=tensors, layers=(layer,), shape_only=True, **ports)


def space_on(arch: Arch, *shares: MacGeometry) -> Space:
    """The space as the search walks it on ``arch``."""
    return space_of(*shares, gathered=arch.activation_buffer.im2col == "dram")


@st.composite
def geometries(draw: st.DrawFn) -> MacGeometry:
    groups, kh, kw = draw(st.sampled_from([1, 1, 1, 3])), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sh, sw, dh, dw = (draw(st.integers(1, 2)) for _ in range(4))
    oh, ow, top, left = (
        draw(st.integers(1, 7)),
        draw(st.integers(1, 7)),
        draw(st.integers(0, 1)),
        draw(st.integers(0, 1)),
    )
    ih = max(1, (oh - 1) * sh + (kh - 1) * dh + 1 - top - draw(st.integers(0, 1)))
    iw = max(1, (ow - 1) * sw + (kw - 1) * dw + 1 - left)
    return MacGeometry(
        n=draw(st.integers(1, 2)), ih=ih, iw=iw, ic=groups * draw(st.integers(1, 6)), oh=oh, ow=ow,
        oc=groups * draw(st.integers(1, 9)), kh=kh, kw=kw, stride_h=sh, stride_w=sw, dilation_h=dh, dilation_w=dw,
        pad_top=top, pad_left=left, groups=groups,
    )  # fmt: skip


def bound_of(
    layer: MacLayer,
    graph: Graph,
    arch: Arch,
    p: int,
    t: int,
    c: int,
    order: int,
    table: EnergyTable = TABLE,
    kept: OnChip = THROUGH_DRAM,
) -> tuple[float, float, bool]:
    """Bound and energy of one tiling of the space, and whether the bound claims to be the schedule."""
    space = space_on(arch, *shares_of(layer, graph, arch))
    oh, ow, y, x, n = space.pixels[p]
    kh, kw, v, u = space.taps[t]
    oc, ic, groups = space.channels[c]
    rows, columns = space.rows[:, y, v], space.columns[:, x, u]
    seen = Seen(rows[0], columns[0], rows[2], columns[2], n * rows[1] * columns[1])
    tile = Loops(n, oh, ow, oc, ic, kh, kw, groups)
    return _finalists.bound_of(*problem_of(layer, graph, arch, table, kept), tile, order, seen)


@relaxed
@given(
    geometries(),
    st.integers(0, 2**32 - 1),
    st.sampled_from([8, 8, 4, 16]),
    st.sampled_from([TABLE, REGISTERS, LEAKING]),
)
def test_no_schedule_is_shorter_than_its_bound_and_energy_is_exact(
    g: MacGeometry, seed: int, weight_bits: int, table: EnergyTable
) -> None:
    """Of random tilings on random machines; the packing of 4-bit weights may round each tile up to a byte, and the stated share of coded
    activations is rounded up to a byte in each transfer.

    Leakage takes the bound's cycles for the schedule's, and so is least.
    """
    rng = np.random.default_rng(seed)
    layer, graph = layer_of(g, weight_bits)
    arch = random_arch(rng)
    shares = shares_of(layer, graph, arch)
    space = space_on(arch, *shares)
    kept = THROUGH_DRAM if len(shares) > 1 else KEPT[seed % 4]
    for _ in range(6):
        p, t, c, order = (int(rng.integers(n)) for n in (len(space.pixels), len(space.taps), len(space.channels), 2))
        row = np.array(
            [
                *space.pixels[p, :2],
                *space.channels[c, :2],
                *space.taps[t, :2],
                space.channels[c, 2],
                space.pixels[p, 4],
                order,
            ]
        )
        cycles, energy = scheduled(alone_of(layer, graph, arch), mapping_of(row), arch, table, kept)
        least, exact, _ = bound_of(layer, graph, arch, p, t, c, order, table, kept)
        assert least <= cycles
        assert exact <= energy * (1 + 1e-12)
        whole = weight_bits % 8 == 0 and activation_share(arch) == 1
        if whole and len(shares) == 1 and arch.dram.bytes_per_burst == 1:
            assert energy == pytest.approx(exact + (cycles - least) * idle_energy(arch, Costs(table)), rel=1e-12)


def quick(arch: Arch, rng: np.random.Generator) -> Arch:
    """``arch`` with a DRAM that seldom holds it up, and mostly two slots or more in each memory."""
    memories = ("weight_buffer", "activation_buffer", "output_buffer", "accumulator")
    twice = {f"{memory}.double_buffered": bool(rng.integers(8)) for memory in memories}
    twice["weight_buffer.double_buffered"] |= arch.weight_buffer.slots > 2
    port = {"dram.bandwidth_bytes_per_s": 10 ** int(rng.integers(9, 14)), "dram.latency_ns": float(rng.integers(4))}
    port |= {"dram.standard": None, "dram.burst_bytes": 1 if rng.integers(8) else 16}
    port |= {"requantizer.streaming": False, "dma.write_bytes": 1, "requantizer.parameter_bytes": 0}
    port |= {
        f"streams.{name}.{key}": None for name in STREAMS for key in ("bandwidth_bytes_per_s", "latency_ns", "port")
    }
    apart = memories[:3] if arch.shared_buffer.size_bytes is None else memories[2:3]
    port |= {f"{memory}.banks": 2 for memory in apart if rng.integers(8)}
    width = {
        "output_buffer.bytes_per_cycle": None if rng.integers(8) else 1,
        "requantizer.lanes": 2 ** int(rng.integers(7)),
    }
    rows = int(rng.integers(1 + (arch.array.weight_zero_points == "extra_channel"), 30))
    adds = {"accumulator.products_per_add": rows if arch.array.dataflow == "adder_tree" else 1}
    return arch.with_(twice | port | width | adds | {"array.rows": rows, "accumulator.count": 4096})


def test_analytic_cycles_are_scheduled_cycles_where_they_claim_to_be() -> None:
    """Random tilings on random machines, DRAM fast and slow; the claim is made often, and for layers of many tiles."""
    claimed, of_many_tiles = 0, 0
    for seed in range(750):
        rng = np.random.default_rng(seed)
        k, stride, groups = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.choice([1, 1, 3]))
        oh, ow = rng.integers(1, 9, 2).tolist()
        g = MacGeometry(
            n=int(rng.integers(1, 4)), ih=(oh - 1) * stride + k, iw=(ow - 1) * stride + k, ic=groups * int(rng.integers(1, 9)), oh=oh, ow=ow,
            oc=groups * int(rng.integers(1, 9)), kh=k, kw=k, stride_h=stride, stride_w=stride, groups=groups,
        )  # fmt: skip
        layer, graph = layer_of(g)
        arch = quick(random_arch(rng, sharing=0.0), rng).with_({"cores.count": 1})  # whose tiles may fit or not
        space = space_on(arch, g)
        for _ in range(8):
            p, t, c, order = (
                int(rng.integers(n)) for n in (len(space.pixels), len(space.taps), len(space.channels), 2)
            )
            row = np.array(
                [
                    *space.pixels[p, :2],
                    *space.channels[c, :2],
                    *space.taps[t, :2],
                    space.channels[c, 2],
                    space.pixels[p, 4],
                    order,
                ]
            )
            least, _, exact = bound_of(layer, graph, arch, p, t, c, order)
            if exact:
                program = build_program(alone_of(layer, graph, arch), arch=arch, mappings=(mapping_of(row),))
                assert least == schedule(program).total_cycles
                claimed, of_many_tiles = claimed + 1, of_many_tiles + (len(program) > 20)
    assert claimed > 300
    assert of_many_tiles > 100


@relaxed
@given(geometries(), st.integers(0, 2**32 - 1))
def test_array_cycles_of_all_tiles_are_the_programs(g: MacGeometry, seed: int) -> None:
    """The compiled equations and their sums over full and remaining tiles, against the array model tile by tile."""
    from accelsim.hardware.compiled import Tile

    rng = np.random.default_rng(seed)
    layer, graph = layer_of(g)
    arch = random_arch(rng)
    pixels, reduction, channels, groups = (rng.integers(1, 40, 20) for _ in range(4))
    kept = rng.integers(0, 2, 20).astype(bool)
    array = machine_of(operand_bits(layer, graph, arch), arch).array
    tiles = ComputeTiles(pixels=pixels, reduction=reduction, channels=channels, groups=groups, weights_kept=kept)
    cost = array_cost(tiles, array)
    columns = (
        cost.cycles,
        cost.stream_cycles,
        cost.weight_reads,
        cost.activation_reads,
        cost.accumulator_writes,
        cost.latency,
    )
    expected = np.stack(np.broadcast_arrays(*columns), axis=1)
    sizes_ = zip(pixels, reduction, channels, groups, kept, strict=True)
    tile_cost = callable_from_python(compiled.tile_cost)
    found = [tile_cost(array, Tile(int(p), 1, int(r), int(c), int(g), bool(k))) for p, r, c, g, k in sizes_]
    figures = [
        (c.cycles, c.stream_cycles, c.weight_reads, c.activation_reads, c.accumulator_writes, c.latency) for c in found
    ]
    assert figures == [tuple(row) for row in expected.tolist()]


SMALL = MacGeometry(n=2, ih=3, iw=4, ic=4, oh=3, ow=4, oc=4, kh=3, kw=3, pad_top=1, pad_left=1)


@pytest.mark.parametrize("cores", [(1, "auto"), (2, "rows"), (4, "channels")])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_proved_best_is_the_best_of_all(objective: str, cores: tuple[int, str]) -> None:
    check_best(objective, cores, {})


@pytest.mark.parametrize("mode", ["buffer", "dram"])
def test_a_proved_best_is_the_best_of_all_unrolled(mode: str) -> None:
    check_best("energy", (2, "rows"), {"activation_buffer.im2col": mode})


@pytest.mark.parametrize("kept", [OnChip(True, False), OnChip(False, True), OnChip(True, True)])
def test_a_proved_best_is_the_best_of_all_beside_kept_tensors(kept: OnChip) -> None:
    check_best("cycles", (1, "auto"), {"activation_buffer.bytes_per_cycle": 2}, kept)


@pytest.mark.parametrize("dataflow", ["weight_stationary", "output_stationary", "input_stationary"])
def test_a_proved_best_is_the_best_of_all_in_groups(dataflow: str) -> None:
    """Where inputs stay, groups and pixels share the columns, and fewer pixels a tile can be faster."""
    g = MacGeometry(n=1, ih=1, iw=9, ic=9, oh=1, ow=9, oc=36, kh=1, kw=1, groups=9)
    fast = {"dram.bandwidth_bytes_per_s": 1e13, "dram.latency_ns": 0, "output_buffer.bytes_per_cycle": None}
    check_best("cycles", (1, "auto"), {"array.dataflow": dataflow, "requantizer.lanes": 64, **fast}, g=g)


def test_the_search_of_a_network_knows_what_is_kept() -> None:
    """Of a network whose tensors fit on chip: fewer cycles and less energy than the same search of single layers gives."""
    graph = load_graph(resolve_model("digits_cnn"))
    sizes = {"activation_buffer.size_bytes": "64 KiB", "activation_buffer.resident_bytes": "48 KiB"}
    arch = load_arch("edge_16x16").with_(sizes)
    stay = likely_kept(graph, arch)
    found = search_network(graph, arch=arch, objective="cycles", seconds=60).layers
    between = [layer for layer in graph.layers if layer.name in found and layer.inputs[0] in stay]
    assert len(between) > 2
    for layer in between:
        alone = search_mapping(layer, graph=graph, arch=arch, objective="cycles", table=TABLE)
        assert found[layer.name].cycles < alone.cycles
        assert found[layer.name].energy_pj < alone.energy_pj


def check_best(
    objective: str,
    cores: tuple[int, str],
    edits: dict[str, object],
    kept: OnChip = THROUGH_DRAM,
    g: MacGeometry | None = None,
) -> None:
    """Every tiling that fits, scheduled one by one."""
    arch = load_arch("tiny_8x8").with_({"weight_buffer.size_bytes": 128, "activation_buffer.size_bytes": 128})
    arch = arch.with_({"cores.count": cores[0], "cores.split": cores[1], **edits})
    whole = cores[0] == 1 and kept == THROUGH_DRAM
    layer, graph = layer_of(g or (SMALL if whole else replace(SMALL, iw=2, ow=2, kw=1, pad_left=0, ic=2)))
    found = search_mapping(layer, graph=graph, arch=arch, objective=objective, table=TABLE, kept=kept)
    space = space_on(arch, *shares_of(layer, graph, arch))
    least, legal = np.inf, 0
    for oh, ow, _, _, n in space.pixels:
        for kh, kw, *_ in space.taps:
            for oc, ic, groups in space.channels:
                for order in (0, 1):
                    mapping = mapping_of(np.array([oh, ow, oc, ic, kh, kw, groups, n, order]))
                    program = build_program(
                        alone_of(layer, graph, arch), arch=arch, mappings=(mapping,)
                    )  # the same buffers
                    if any(
                        program.extent[i] > slot_capacity(Memory(m), arch)
                        for i, m in enumerate(program.memory)
                        if m >= 0
                    ):
                        continue
                    check_program(program)
                    legal += 1
                    cycles, energy = scheduled(alone_of(layer, graph, arch), mapping, arch, TABLE, kept)
                    least = min(least, {"cycles": cycles, "energy": energy, "edp": cycles * energy}[objective])
    assert found.fitting == legal
    assert found.visited == space.size
    assert found.proved
    assert found.value == pytest.approx(least, rel=1e-12)
    assert found.bound <= found.value


def test_search_is_never_worse_than_the_default_mapper() -> None:
    arch, graph = load_arch("edge_16x16"), load_graph(resolve_model("digits_cnn"))
    for layer in graph.layers:
        if isinstance(layer, MacLayer):
            found = search_mapping(layer, graph=graph, arch=arch, objective="cycles", table=TABLE)
            default = map_layer(layer, graph=graph, arch=arch, objective="cycles")
            assert found.cycles <= scheduled(alone_of(layer, graph, arch), default, arch, TABLE)[0]


def test_whole_networks_get_a_mapping_per_layer() -> None:
    arch, graph = load_arch("edge_16x16"), load_graph(resolve_model("digits_cnn"))
    mappings = search_graph(graph, arch=arch, objective="edp")
    check_program(build_program(graph, arch=arch, mappings=mappings))


def test_what_fits_nowhere_is_named() -> None:
    arch = load_arch("tiny_8x8").with_({"accumulator.count": 1, "accumulator.double_buffered": False})
    layer, graph = layer_of(SMALL, activation=IntFormat(16))
    with pytest.raises(MappingError, match="accumulators"):
        search_mapping(layer, graph=graph, arch=arch)


def test_tile_sizes_are_those_that_change_the_number_of_tiles() -> None:
    assert tile_sizes(1) == [1]
    assert tile_sizes(7) == [1, 2, 3, 4, 7]
    for size in range(1, 60):
        counts = [-(-size // tile) for tile in tile_sizes(size)]
        assert counts == sorted(set(counts), reverse=True)
        assert len(counts) == len({-(-size // tile) for tile in range(1, size + 1)})


def test_the_kernel_keeps_the_least_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for three of all tilings, the three least are kept."""
    arch = load_arch("tiny_8x8")
    layer, graph = layer_of(SMALL)

    def least(room: int) -> list[float]:
        monkeypatch.setattr("accelsim.mapper.exhaustive.layer.FINALISTS", room)
        search = LayerSearch(layer, graph, arch, TABLE, Weigh(1.0, 0.0, False), lambda mapping: (0, 0.0))
        assert search.walk(Clock())
        return sorted(search.bounds)

    assert least(3) == least(2000)[:3]
    assert np.isfinite(least(3)).all()


@given(geometry=geometries())
@relaxed
def test_a_space_is_counted_before_it_is_made(geometry: MacGeometry) -> None:
    made = space_of(geometry)
    tilings, longest = space_size(geometry)
    assert tilings == made.size
    assert longest >= max(len(made.pixels), len(made.channels))


HUGE = """
import accelsim
path, row = sys.argv[1:]
def run(cells):
    open(path, "w").write(f"name,op,h,w,c,oc\\nd,dense,{cells}\\n")
    accelsim.simulate(path, mapping="search", objective="cycles")

run("1,1,8,8")
limit(64 * 2**20)
try:
    run(row)
except accelsim.AccelsimError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("row", ["2147483647,1,8,8", "8,1,2147483647,2147483647", "1000000,1,1000000,1000000"])
def test_a_layer_too_large_to_search_is_refused_in_a_sentence(tmp_path: Path, row: str) -> None:
    said = printed(HUGE, tmp_path / "d.csv", row)
    assert re.fullmatch(
        r"CapacityError layer 'd' \(FULLY_CONNECTED\) is too large to search: [0-9,]+ tilings \(at most [0-9,]+\) on axes of "
        r"[0-9,]+ \(at most [0-9,]+\); take the default mapper for it, or give its tiles in a mapping file\n",
        said,
    )
