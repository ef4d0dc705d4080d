"""Real networks on every preset: the same bits whatever the machine, and one schedule from both schedulers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from accelsim.arch import load_arch, preset_names
from accelsim.builder import build_program
from accelsim.execute import WholeReader, run_program
from accelsim.graph import Graph
from accelsim.hardware import Engine
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import divide_memory, map_graph
from accelsim.program import Program, check_program
from accelsim.timing import schedule, schedule_simpy
from tests.shared_models import INT8_MODELS, model_path

MODELS = ("digits_cnn", *INT8_MODELS)
ARITHMETIC = "tflite-micro"
LONG = {("ic_resnet_large_int8", "tiny_8x8")}
CASES = [
    pytest.param(model, machine, marks=[pytest.mark.slow] if (model, machine) in LONG else [])
    for model in MODELS
    for machine in preset_names()
]


@lru_cache(maxsize=8)
def network(name: str) -> tuple[Graph, dict[str, Any], dict[str, Any]]:
    """The graph, one random input, and every tensor by whole layers."""
    path = resolve_model(name) if name == "digits_cnn" else model_path(name)
    graph = load_graph(path, arithmetic=ARITHMETIC)
    tensor = graph.tensors[graph.inputs[0].tensor]
    inputs = {tensor.name: np.random.default_rng(1).integers(-128, 128, tensor.shape).astype(np.int8)}
    return graph, inputs, WholeReader(graph).run(inputs, keep="all")


def program_on(graph: Graph, machine: str) -> Program:
    preset = load_arch(machine)
    wide = {"accumulator.bits": max(32, preset.accumulator.bits)}  # sums of 26 bits wrap in some of these networks
    arch = divide_memory(graph, arch=preset.with_({"arithmetic": ARITHMETIC, **wide}))
    return build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))


@pytest.mark.parametrize(("model", "machine"), CASES)
def test_same_bits_and_one_schedule(model: str, machine: str) -> None:
    graph, inputs, expected = network(model)
    program = program_on(graph, machine)
    check_program(program)
    timeline, observable = schedule(program), schedule_simpy(program)
    np.testing.assert_array_equal(timeline.start, observable.start)
    np.testing.assert_array_equal(timeline.finish, observable.finish)
    values = run_program(program, inputs, timeline=timeline)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(values[name], tensor, err_msg=f"{model} on {machine}: {name}")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("resident", ["4 KiB", "96 KiB"])
def test_tensors_kept_on_chip_have_the_same_bits(model: str, resident: str) -> None:
    graph, inputs, expected = network(model)
    edits = {"activation_buffer.size_bytes": 160 * 1024, "activation_buffer.resident_bytes": resident}
    arch = load_arch("edge_16x16").with_({"arithmetic": ARITHMETIC, **edits})
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    check_program(program)
    assert program.of_engine(Engine.RECALL).any()
    timeline, observable = schedule(program), schedule_simpy(program)
    np.testing.assert_array_equal(timeline.finish, observable.finish)
    values = run_program(program, inputs, timeline=timeline)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(values[name], tensor, err_msg=f"{model}: {name}")


@pytest.mark.parametrize("model", ["digits_cnn", *(name for name in INT8_MODELS if "resnet" in name)])
def test_layers_on_the_fly_have_the_same_bits(model: str) -> None:
    graph, inputs, expected = network(model)
    fused = {"vector.fuse_activations": True, "vector.fuse_elementwise": True, "vector.fuse_pools": True}
    arch = load_arch("edge_16x16").with_({"arithmetic": ARITHMETIC, **fused})
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    check_program(program)
    assert program.passes
    timeline, observable = schedule(program), schedule_simpy(program)
    np.testing.assert_array_equal(timeline.finish, observable.finish)
    values = run_program(program, inputs, timeline=timeline)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(values[name], tensor, err_msg=f"{model}: {name}")


@pytest.mark.parametrize("machine", preset_names())
def test_every_preset_may_keep_tensors(machine: str) -> None:
    graph, inputs, expected = network("digits_cnn")
    arch = load_arch(machine).with_({"arithmetic": ARITHMETIC})
    memory = "shared_buffer" if arch.shared_buffer.size_bytes else "activation_buffer"
    size = getattr(arch, memory).size_bytes + 4096
    edits = {f"{memory}.size_bytes": size, "activation_buffer.resident_bytes": 4096}
    program = build_program(graph, arch=arch.with_(edits), mappings=map_graph(graph, arch=arch.with_(edits)))
    check_program(program)
    assert program.of_engine(Engine.KEEP).any()
    values = run_program(program, inputs, timeline=schedule(program))
    for name, tensor in expected.items():
        np.testing.assert_array_equal(values[name], tensor, err_msg=f"{machine}: {name}")


@pytest.mark.parametrize("model", MODELS)
def test_tiny_8x8_splits_every_layer_that_the_array_runs(model: str) -> None:
    graph, _, _ = network(model)
    program = program_on(graph, "tiny_8x8")
    computes = np.bincount(program.layer[program.of_engine(Engine.COMPUTE)], minlength=len(graph.layers))
    for count, layer in zip(computes, graph.layers, strict=True):
        assert layer.macs == 0 or count > 1, layer.name


@pytest.mark.parametrize("model", ["digits_cnn", "kws_dscnn_int8"])
def test_program_order_gives_the_same_bits(model: str) -> None:
    graph, inputs, expected = network(model)
    values = run_program(program_on(graph, "tiny_8x8"), inputs)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(values[name], tensor, err_msg=name)
