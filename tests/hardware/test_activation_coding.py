"""Run-length coded activations: a reader in plain Python from the documented layout, the law of their length, and what a machine makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import accelsim
from accelsim.activity import activity_energy, measure_activity
from accelsim.arch import load_arch
from accelsim.energy import count_actions, operation_energy, table_of
from accelsim.explore import evaluate
from accelsim.hardware import Engine
from accelsim.hardware.activation_coding import (
    activation_share,
    pairs_per_word,
    run_length_code,
    run_length_share,
    run_length_values,
    values_per_pair,
)

EDGE = load_arch("edge_16x16").with_({"activation_buffer.resident_bytes": 0})
HALF = {"dma.activation_compression": "run_length", "dma.activation_zeros": 0.75}
"""Of 8-bit values a code half as long: four pairs a word, a pair for four values."""


def decode(words: list[int], count: int, bits: int) -> list[int]:
    """Values by the layout of docs/weight_formats.md."""
    values: list[int] = []
    for place, word in enumerate(words):
        assert word >> 63 == (place == len(words) - 1)
        for pair in range(63 // (5 + bits)):
            field = word >> pair * (5 + bits)
            if len(values) < count:
                values += [0] * (field & 31) + [field >> 5 & (1 << bits) - 1]
    return values


@st.composite
def tensors(draw: st.DrawFn) -> tuple[NDArray[np.int64], int]:
    """Of every width, with runs of zeros as long as several pairs hold, at the end too."""
    bits, count = draw(st.integers(1, 32)), draw(st.integers(0, 400))
    rng, zeros = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.sampled_from([0.0, 0.5, 0.95, 0.995, 1.0]))
    values = rng.integers(0, 2**bits, count)
    values[rng.random(count) < zeros] = 0
    return values, bits


@settings(deadline=None, max_examples=150)
@given(tensors())
def test_codes_are_read_back_by_the_layout_alone(drawn: tuple[NDArray[np.int64], int]) -> None:
    values, bits = drawn
    words = run_length_code(values, bits)
    assert decode(words.tolist(), len(values), bits) == values.tolist()
    assert run_length_values(words, len(values), bits).tolist() == values.tolist()


@pytest.mark.parametrize(("zeros", "pairs"), [(0, 1), (31, 1), (32, 2), (63, 2), (64, 3)])
def test_a_pair_holds_31_zeros_and_any_value(zeros: int, pairs: int) -> None:
    """Three pairs of 16 bits a word, as in Eyeriss; zeros at the end take a pair for every 32."""
    assert pairs_per_word(16) == 3
    values = np.array([0] * zeros + [7])
    assert len(run_length_code(np.tile(values, 3), 16)) == pairs
    assert len(run_length_code(np.zeros(96, dtype=np.int64), 16)) == 1
    assert len(run_length_code(np.zeros(97, dtype=np.int64), 16)) == 2


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("zeros", [0.0, 0.3, 0.6, 0.9, 0.97, 1.0])
def test_the_law_is_the_length_of_random_values(bits: int, zeros: float) -> None:
    """Within four standard deviations of the pairs that a renewal process makes, and of its own closed form."""
    count, rng = 200_000, np.random.default_rng(bits)
    values = rng.integers(1, 2**bits, count)
    values[rng.random(count) < zeros] = 0
    found = 64 * len(run_length_code(values, bits)) / (bits * count)
    mean = values_per_pair(zeros)
    if 0 < zeros < 1:
        assert mean == pytest.approx((1 - zeros**32) / (1 - zeros))
    spread = 4 * np.sqrt(max(0.0, (1 - zeros) * zeros) / count) / (1 - zeros) if zeros < 1 else 0.0
    assert found == pytest.approx(run_length_share(zeros, bits), rel=spread + 1e-3)


def counted(**edits: Any) -> tuple[accelsim.Simulation, dict[str, int]]:
    """A run on the plain machine's tiles, or on its own, and its counts."""
    done = accelsim.run(
        "digits_cnn", arch=EDGE.with_({name.replace("__", "."): value for name, value in edits.items()})
    )
    return done, {name: int(column.sum()) for name, column in count_actions(done.program).columns().items()}


def test_a_transfer_moves_its_share_in_bytes_time_and_energy() -> None:
    done, counts = counted(**HALF)
    program, arch = done.program, done.program.arch
    assert activation_share(arch) == 513 / 1024  # 0.50005, rounded up
    moved = np.isin(program.engine, (Engine.LOAD_ACTIVATIONS, Engine.STORE))
    assert (program.bus_bytes[moved] == -(-program.amount[moved] * 513 // 1024)).all()
    others = program.engine == Engine.LOAD_WEIGHTS
    assert (program.bus_bytes[others] == program.amount[others]).all()
    pace = arch.clock_hz / arch.dram.bandwidth_bytes_per_s
    assert (program.cycles[moved] == np.maximum(1, np.ceil(program.amount[moved] * 513 / 1024 * pace))).all()
    assert counts["dram_read"] + counts["dram_write"] == 8 * int(program.bus_bytes.sum())
    assert counts["dram_read_asked"] + counts["dram_write_asked"] == counts["dram_read"] + counts["dram_write"]
    spent = operation_energy(program, table_of(arch))
    idle = sum(done.result.total.energy_split_pj[name] for name in ("clock", "leakage"))
    assert spent.sum() + idle == pytest.approx(done.result.total.energy_pj, rel=1e-12)


def test_more_zeros_never_cost_more_and_few_change_nothing() -> None:
    plain = accelsim.simulate("digits_cnn", arch=EDGE)
    worths = [
        accelsim.simulate("digits_cnn", arch=EDGE.with_({**HALF, "dma.activation_zeros": zeros})).total
        for zeros in (0.0, 0.5, 0.75, 0.95)
    ]
    assert (worths[0].cycles, worths[0].energy_pj) == (plain.total.cycles, plain.total.energy_pj)
    values = [total.cycles * total.energy_pj for total in worths]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.9 * values[0]


def test_evaluate_says_what_simulate_says() -> None:
    edits: list[dict[str, object]] = [dict(HALF), {**HALF, "streams.activations.memory": "lpddr4", "array.rows": 8}, {}]
    for row, edit in zip(evaluate("digits_cnn", arch=EDGE, edits=edits), edits, strict=True):
        total = accelsim.simulate("digits_cnn", arch=EDGE.with_(edit)).total
        assert (row["cycles"], row["dram_read_bytes"]) == (total.cycles, total.dram_read_bytes)
        assert row["energy_pj"] == pytest.approx(total.energy_pj, rel=1e-12)


def test_activity_goes_by_the_codes_of_the_data() -> None:
    """All of the DRAM's energy of activations: measured shares of whole tensors in place of the stated one."""
    done, _ = counted(**HALF)
    program, graph = done.program, done.program.graph
    rng, name = np.random.default_rng(3), graph.inputs[0].tensor
    tensor = graph.tensors[name]
    image = np.full(tensor.shape, tensor.zero_point)
    image.reshape(-1)[::9] = rng.integers(tensor.zero_point + 1, tensor.format.max, 8)
    first, *_ = measure_activity(program, {name: image.astype(np.int8)}, sample=2)
    assert first.input_code == 2 * 64 / (64 * 8)  # eight pairs in two words
    table, reference = table_of(program.arch), dict.fromkeys(first.wires, 0.5)
    assert set(reference) == set(first.wires)
    (spent,) = activity_energy(program, [first], table)
    counts, price = count_actions(program).of_layer(0), table.entry("dram", "read").value(bits=1)
    inputs, weights = counts["dram_read"] - counts["dram_read_weights"], counts["dram_read_weights"]
    stated = 513 / 1024
    expected = weights + inputs * first.input_code / stated + counts["dram_write"] * first.output_code / stated
    rate = first.wires["dram_bus"].rate
    assert rate is not None
    assert spent.data_pj["dram"] == pytest.approx(expected * price * rate / 0.5)
    assert spent.worst_pj["dram"] == pytest.approx((weights + (inputs + counts["dram_write"]) / stated) * price * 2)
