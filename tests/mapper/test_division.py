"""How the activation memory is divided: on networks worked out by hand, and what is said of a machine that leaves it open."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import accelsim
from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.cli import main
from accelsim.energy import table_of
from accelsim.errors import ConfigError
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import OBJECTIVES, divide_memory, divisions, map_graph, network_cost
from accelsim.mapper.default import layer_by_layer
from accelsim.mapper.tiling import Tiler
from accelsim.numerics import IntFormat
from accelsim.program import first_fit, lifetimes
from accelsim.result import summarize
from accelsim.timing import schedule
from tests.networks import chain
from tests.report.networks import separable_network

RESIDENT, SIZE = "activation_buffer.resident_bytes", "activation_buffer.size_bytes"
AUTO = load_arch("edge_16x16").with_({RESIDENT: "auto"})
DIGITS = load_graph(resolve_model("digits_cnn"))


def mobilenet(arch: Arch = AUTO) -> accelsim.Graph:
    return load_graph(resolve_model("mobilenet_v2"), arithmetic=arch.rules().name)


def test_a_division_is_0_or_a_capacity_that_keeps_more() -> None:
    """The largest that is tried keeps all tensors, and no byte more."""
    sizes = list(divisions(DIGITS, AUTO))
    assert sizes == sorted(set(sizes))
    wanted = lifetimes(DIGITS)
    assert [len(first_fit(wanted, sizes[-1] - less)) for less in (0, 1)] == [len(wanted), len(wanted) - 1]
    assert list(divisions(DIGITS, AUTO.with_({SIZE: "1 KiB"}))) == [size for size in sizes if size <= 1022]


def test_a_size_that_is_given_stays() -> None:
    given = AUTO.with_({RESIDENT: "16 KiB"})
    assert divide_memory(DIGITS, arch=given) is given


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_least_by_the_objective_wins(objective: str) -> None:
    graph = mobilenet()
    arch = AUTO.with_({SIZE: "256 KiB"})
    chosen = divide_memory(graph, arch=arch, objective=objective)
    costs = {
        size: network_cost(graph, arch=arch.with_({RESIDENT: size}), objective=objective).by(objective)
        for size in (0, *divisions(graph, arch))
    }
    assert costs[chosen.activation_buffer.kept_bytes] == min(costs.values())


@pytest.mark.parametrize("size", [0, 4096, 20000])
@pytest.mark.parametrize("name", ["edge_16x16", "mcu_npu"])
def test_the_closed_forms_tell_the_bytes_and_the_picojoules_of_the_run(name: str, size: int) -> None:
    """To the byte, whether tensors are kept or not; the cycles they tell to a tenth, since layers overlap."""
    arch = load_arch(name).with_({RESIDENT: size, "activation_buffer.fuse_pairs": False})
    for graph in (load_graph(resolve_model("digits_cnn"), arithmetic=arch.rules().name), separable_network(2, size=24)):
        told, (mappings, _) = network_cost(graph, arch=arch), layer_by_layer(Tiler(graph, arch, "edp"))
        done = summarize(schedule(build_program(graph, arch=arch, mappings=mappings)), table=table_of(arch))
        assert told.traffic == sum(layer.dram_read_bytes + layer.dram_write_bytes for layer in done.layers)
        assert told.picojoules == pytest.approx(done.total.energy_pj, rel=1e-12)
        assert told.cycles == pytest.approx(done.total.cycles, rel=0.1)


def test_a_megabyte_is_worth_something() -> None:
    """MobileNetV2: twice the memory, less traffic each time, until only weights, image and result are left."""
    edits = [{SIZE: f"{kib} KiB"} for kib in (64, 128, 256, 512, 1024, 2048)]
    table = accelsim.evaluate("mobilenet_v2", arch=AUTO, edits=edits)
    moved = table["dram_read_bytes"] + table["dram_write_bytes"]
    assert (np.diff(moved) < 0).all()
    assert moved[-1] < 0.25 * moved[0]


def test_what_is_not_divided_is_refused_where_it_matters() -> None:
    for use in (
        lambda: map_graph(DIGITS, arch=AUTO),
        lambda: build_program(DIGITS, arch=AUTO, mappings=map_graph(DIGITS, arch=load_arch("edge_16x16"))),
    ):
        with pytest.raises(
            ConfigError, match=r"resident_bytes of auto: decided for each network.*accelsim\.mapper\.divide_memory"
        ):
            use()


def test_the_result_is_that_of_the_size_chosen_and_says_it() -> None:
    done = accelsim.run("digits_cnn", arch=AUTO)
    size = done.arch.activation_buffer.kept_bytes
    assert done.result.arch["activation_buffer"]["resident_bytes"] == size == 4096
    assert done.result.notes == ("activation_buffer.resident_bytes of auto: 4 KiB of 64 KiB keep tensors on chip",)
    explicit = accelsim.simulate("digits_cnn", arch=AUTO.with_({RESIDENT: size}))
    assert done.result.model_copy(update={"notes": ()}) == explicit


def test_commands_take_auto() -> None:
    edit = ["--arch", "edge_16x16", "--set", f"{RESIDENT}=auto"]
    done = CliRunner().invoke(main, ["run", "digits_cnn", *edit])
    assert done.exit_code == 0, done.output
    assert "activation_buffer.resident_bytes of auto: 4 KiB of 64 KiB" in done.stderr
    done = CliRunner().invoke(main, ["accumulators", "digits_cnn", *edit])
    assert done.exit_code == 0, done.output


def test_a_search_writes_the_division_that_it_searched_for(tmp_path) -> None:
    out = tmp_path / "tiles.yaml"
    command = ["digits_cnn", "--arch", "mcu_npu"]
    done = CliRunner().invoke(main, ["map", *command, "--objective", "energy", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "4,096 bytes for tensors on chip" in done.stdout
    assert out.read_text(encoding="utf-8").startswith("objective: energy\nresident_bytes: 4096\n")
    searched = accelsim.simulate("digits_cnn", arch="mcu_npu", mapping="search", objective="energy")
    found = accelsim.simulate("digits_cnn", arch="mcu_npu", mapping=out)
    assert found.model_copy(update={"mapper": "search"}) == searched


def test_a_tensor_that_cannot_stay_does_not_keep_others_from_it() -> None:
    """Codes of 6 bits: rows of 3 end inside a byte and go through DRAM, those of 8 before and behind them stay."""
    graph = chain(widths=(8, 3, 8), middle=IntFormat(6))
    sizes = list(divisions(graph, AUTO))
    costs = [network_cost(graph, arch=AUTO.with_({RESIDENT: size})).traffic for size in sizes]
    assert sizes == [6]
    assert costs[0] < network_cost(graph, arch=AUTO.with_({RESIDENT: 0})).traffic < np.inf
