"""The figures of a Result agree with each other and with the Program they were read off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.hardware import Engine
from accelsim.result import bound_of
from accelsim.verification.effect import output_effect


@pytest.fixture(scope="module", params=[1, 2], ids=["one core", "two cores"])
def done(request: pytest.FixtureRequest) -> accelsim.Simulation:
    arch = accelsim.load_arch("edge_16x16").with_({"cores.count": request.param})
    return accelsim.run("digits_cnn", arch=arch, inputs=None)


def test_rates_follow_from_cycles_clock_and_energy(done: accelsim.Simulation) -> None:
    total = done.result.total
    assert total.tile_operations == len(done.program)
    assert total.latency_s == pytest.approx(total.cycles / done.program.arch.clock_hz)
    assert total.inferences_per_s * total.latency_s == pytest.approx(1)
    assert total.energy_per_mac_fj == pytest.approx(1000 * total.energy_pj / total.macs)
    assert total.average_power_w == pytest.approx(total.energy_pj * 1e-12 / total.latency_s)


def test_buffers_are_read_and_written_by_the_byte(done: accelsim.Simulation) -> None:
    """Eight bits a byte, all three buffers; what a layer's weights and sums take at least is among them."""
    result, buffers = done.result, ("weight_buffer", "activation_buffer", "output_buffer")
    for side in ("read", "write"):
        of_layers = [getattr(layer, f"buffer_{side}_bytes") for layer in result.layers]
        for layer, found in zip(result.layers, of_layers, strict=True):
            assert found == sum(layer.counts[f"{name}_{side}"] for name in buffers) // 8
        assert getattr(result.total, f"buffer_{side}_bytes") == sum(of_layers) > result.total.weight_bytes


def test_waits_of_the_layers_add_up_to_those_of_the_array(done: accelsim.Simulation) -> None:
    result, cores = done.result, done.program.arch.cores.count
    waits: dict[str, int] = {}
    for layer in result.layers:
        for cause, cycles in layer.stall_cycles.items():
            assert cycles > 0
            waits[cause] = waits.get(cause, 0) + cycles
    worked = {name: result.total.array_cycles[name] for name in ("stream", "fill_drain")}
    assert result.total.array_cycles == worked | waits
    assert sum(worked.values()) == done.timeline.busy_cycles(Engine.COMPUTE)
    assert sum(result.total.array_cycles.values()) == cores * result.total.cycles


@given(st.lists(st.integers(0, 40), min_size=len(Engine), max_size=len(Engine)), st.integers(0, 40), st.integers(1, 3))
def test_a_layer_is_bound_by_the_longest_part_of_what_is_busiest(busy: list[int], stream: int, cores: int) -> None:
    """Loads and stores share a port and so count together; the array streams in so much of its cycles on every core."""
    stream = min(stream, busy[Engine.COMPUTE])
    dma = {"weight load": Engine.LOAD_WEIGHTS, "activation load": Engine.LOAD_ACTIVATIONS, "store": Engine.STORE}
    alone = {"vector": Engine.VECTOR, "requantize": Engine.REQUANTIZE, "keep": Engine.KEEP, "recall": Engine.RECALL}
    groups = [
        {"compute": stream, "fill/drain": busy[Engine.COMPUTE] - stream},
        {name: busy[engine] for name, engine in dma.items()},
        *({name: busy[engine]} for name, engine in alone.items()),
    ]
    bound = bound_of(busy, cores * stream, cores * busy[Engine.COMPUTE])
    if bound == "none":
        assert not any(busy)
    else:
        (group,) = [parts for parts in groups if bound in parts]
        assert sum(group.values()) == max(sum(parts.values()) for parts in groups) > 0
        assert group[bound] == max(group.values())


def test_what_differences_do_to_an_output_is_counted_per_inference() -> None:
    """Of four inferences: equal; another code, nothing moves; the best two change places; the sixth enters the best five."""
    oracle = np.array([9, 8, 7, 6, 5, 4, 0], np.int8)
    changed = [[9, 8, 7, 6, 5, 4, 0], [9, 8, 7, 6, 5, 4, 1], [8, 9, 7, 6, 5, 4, 0], [9, 8, 7, 6, 4, 5, 0]]
    pairs = [(oracle, np.array(codes, np.int8)) for codes in changed]
    effect = output_effect("y", pairs, np.array([0, 0, 1, 2]))
    assert (effect.inferences, effect.affected, effect.argmax_changed, effect.top5_changed) == (4, 3, 1, 1)
    assert (effect.oracle_accuracy, effect.machine_accuracy) == (0.5, 0.75)
    without = output_effect("y", pairs, None)
    assert (without.oracle_accuracy, without.machine_accuracy) == (None, None)
