"""Structures of memories and arrays that few random machines have: exported, built and played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.errors import ConfigError
from accelsim.graph import Conv2D, Dense, DepthwiseConv2D, Graph, HostPort, MacGeometry, MatMul, Tensor, TransposeConv2D
from accelsim.handoff import RtlPlan, plan_rtl
from accelsim.hardware import Engine, Memory
from accelsim.mapper import map_graph
from accelsim.numerics import INT8
from accelsim.timing import schedule
from tests.generate import random_input
from tests.networks import conv, requant, single
from tests.program.test_fusion import images
from tests.rtl.machines import play, write_plan
from tests.rtl.test_rtl_export import NEEDS, SMALL, TREE

KEEPING = {"activation_buffer.size_bytes": 3000, "activation_buffer.resident_bytes": 1000}


def attention() -> Graph:
    """Scores of 6 queries and 6 keys of 8 channels, both made of ``x``: the product's right operand stands where weights do."""
    dense = MacGeometry(n=1, ih=6, iw=1, ic=8, oh=6, ow=1, oc=8)
    scores = MacGeometry(n=1, ih=6, iw=1, ic=8, oh=6, ow=1, oc=6)
    made = [
        Dense(
            name=name, inputs=("x",), output=name, geometry=dense, weight_format=INT8, requant=requant(8),
            weights=np.random.default_rng(seed).integers(-127, 128, dense.weight_shape).astype(np.int8),
        )
        for seed, name in enumerate("qk")
    ]  # fmt: skip
    product = MatMul(
        name="y", inputs=("q", "k"), output="y", geometry=scores, weights=None, weight_format=INT8, requant=requant(1)
    )
    tensors = {name: Tensor(name, (1, 6, 1, 6 if name == "y" else 8), INT8) for name in "xqky"}
    return Graph(
        name="attention", arithmetic="tflite-micro", tensors=tensors, layers=(*made, product),
        inputs=(HostPort("x", "x"),), outputs=(HostPort("y", "y"),),
    )  # fmt: skip


def spread() -> Graph:
    """A transposed convolution of two strides: inputs two rows and three columns apart."""
    g = MacGeometry(
        n=1, ih=3, iw=3, ic=3, oh=6, ow=7, oc=5, kh=2, kw=3, dilation_h=2, pad_top=1, pad_left=1, upsample_h=2, upsample_w=3
    )  # fmt: skip
    return single(TransposeConv2D, g)


def depthwise() -> Graph:
    """Six groups of a channel each, padded."""
    g = MacGeometry(n=1, ih=5, iw=5, ic=6, oh=5, ow=5, oc=6, kh=3, kw=3, groups=6, pad_top=1, pad_left=1)
    return single(DepthwiseConv2D, g)


def deep() -> Graph:
    """Two folds of channels in each of nine taps."""
    return single(Conv2D, MacGeometry(n=1, ih=5, iw=4, ic=6, oh=3, ow=2, oc=4, kh=3, kw=3))


STEPS = TREE | {
    "array.reduction": "per_tap",
    "array.step_folds": 4,
    "array.group_folds": "side_by_side",
    "array.stripe_pixels": 4,
}
MACHINES: dict[str, tuple[Callable[[], Graph], dict[str, Any], int]] = {
    "a window of rows, one queue": (
        lambda: images("conv", "conv"), KEEPING | {"dma.queues": 1, "activation_buffer.bytes_per_cycle": 8}, 2,
    ),
    "a kept tensor in the place of weights, two queues": (attention, KEEPING | {"dma.queues": 2}, 0),
    "results held up in a shared queue": (attention, {"dma.queues": 1, "streams.outputs.latency_ns": 2000.0}, 0),
    "steps of taps, stripes": (deep, STEPS, 0),
    "steps of taps, stripes, each fold issued": (deep, STEPS | {"array.issue_cycles": 3, "array.fold_issue_cycles": 2}, 0),
    "stripes past one fold, issued once": (lambda: conv(size=4, k=1), TREE | {"array.stripe_pixels": 2, "array.fold_issue_cycles": 2}, 0),
    "groups beside each other, windows by the DMA": (depthwise, STEPS | {"activation_buffer.im2col": "dram"}, 0),
    "inputs apart, dot products": (spread, {"array.dot_products": 2, "array.reduction": "per_tap"}, 0),
}  # fmt: skip


def plan_of(graph: Graph, arch: Arch, band: int = 0) -> RtlPlan:
    """By the mapper's tiles; ``band``: the second layer is computed so many rows at a time, in step with the first."""
    mappings = list(map_graph(graph, arch=arch))
    if band:
        second = mappings[1]
        assert second is not None
        mappings[1] = replace(second, band=band)
    program = build_program(graph, arch=arch, mappings=mappings)
    return plan_rtl(schedule(program), random_input(np.random.default_rng(0), graph))


@NEEDS
@pytest.mark.oracle
@pytest.mark.parametrize("name", MACHINES)
def test_structures_make_every_code_in_its_cycle(name: str, tmp_path: Path) -> None:
    made, edits, band = MACHINES[name]
    plan = plan_of(made(), SMALL.with_(edits), band)
    write_plan(plan, tmp_path)
    assert play(tmp_path).endswith(": 0 differences")


def test_what_they_are_about_is_in_their_programs() -> None:
    """A window that wraps, a kept tensor among the weights, folds of a step that idle, groups side by side, a matrix with padding."""
    window, weights, held, steps, issued, once, beside, apart = (
        plan_of(made(), SMALL.with_(edits), band).design for made, edits, band in MACHINES.values()
    )
    (pair,) = window.timeline.program.fused
    assert pair.window < pair.made[-1]
    program = weights.timeline.program
    assert (program.of_engine(Engine.RECALL) & np.equal(program.memory, Memory.WEIGHTS)).any()
    for engine in (Engine.LOAD_ACTIVATIONS, Engine.LOAD_WEIGHTS):
        finish = held.timeline.finish[held.of_engine[engine]]
        assert len(np.unique(finish)) < len(finish)
    (layer,) = steps.layers.values()
    folds = int(steps.timeline.program.stream_cycles.sum()) // layer.geometry.oh // layer.geometry.ow
    assert folds > 2 * layer.geometry.kh * layer.geometry.kw
    compute = {
        design: design.timeline.program.cycles[design.of_engine[Engine.COMPUTE]] for design in (steps, issued, once)
    }
    assert (compute[steps] == 24 * 6).all()  # six steps of four folds, what is left of them included, of six pixels
    assert (compute[issued] == compute[steps] + 3 + 2 * 24 * 2).all()  # 24 folds of two stripes
    assert (compute[once] == 3 * (8 + 2)).all()  # three blocks of channels, one fold each, of eight pixels
    assert max(beside.packs.values()) > 1
    assert min(places.min() for places in beside.matrices.values()) == -1
    (layer,) = apart.layers.values()
    assert (layer.geometry.upsample_h, layer.geometry.upsample_w) == (2, 3)


def test_orders_of_addition_that_the_model_does_not_have_are_refused() -> None:
    narrow = {"accumulator.bits": 16, "accumulator.overflow": "saturate", "accumulator.products_per_add": 4}
    with pytest.raises(
        ConfigError, match=r"^array.reduction of per_tap: the array adds up the products of 9 kernel taps one by one"
    ):
        plan_of(deep(), SMALL.with_(narrow | {"array.reduction": "per_tap"}))


def test_windows_of_kept_tensors_are_not_unrolled() -> None:
    arch = SMALL.with_(KEEPING | {"activation_buffer.im2col": "dram"})
    with pytest.raises(
        ConfigError, match=r"^activation_buffer.im2col of dram: layer 'conv1' reads a tensor kept on chip"
    ):
        plan_of(images("conv", "conv"), arch)
