"""The array's equations against published figures; against a walk over folds: tests/contracts/test_dataflows.py."""

from __future__ import annotations

import pytest

from accelsim.arch import Arch, load_arch
from accelsim.builder import build_program
from accelsim.energy import count_actions, load_table
from accelsim.graph import Conv2D, DepthwiseConv2D, MacGeometry
from accelsim.mapper import map_graph
from accelsim.program import check_program
from accelsim.result import Result, summarize
from accelsim.timing import schedule
from tests.networks import conv, dense, single


def result(graph: object, arch: Arch) -> Result:
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    check_program(program)
    return summarize(schedule(program), table=load_table("horowitz_45nm"))


def alexnet_conv1() -> object:
    """55 x 55 outputs, 11 x 11 x 3 kernels, 96 channels: the layer of SCALE-Sim's published example."""
    geometry = MacGeometry(n=1, ih=227, iw=227, ic=3, oh=55, ow=55, oc=96, kh=11, kw=11, stride_h=4, stride_w=4)
    return single(Conv2D, geometry, shape_only=True)


def test_alexnet_conv1_takes_scale_sims_published_cycles() -> None:
    """112,283 compute cycles, 91.683 % utilisation on a 32x32 weight-stationary array (SCALE-Sim v2, README)."""
    layer = result(alexnet_conv1(), load_arch("scalesim_32x32_ws")).layers[0]
    assert layer.compute_cycles == 112_283
    assert layer.compute_utilization == pytest.approx(0.91683, abs=5e-6)


def test_alexnet_conv1_makes_scale_sims_published_accesses() -> None:
    arch = load_arch("scalesim_32x32_ws")
    graph = alexnet_conv1()
    counts = count_actions(build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))).of_layer(0)
    assert counts["activation_buffer_read"] // 8 == 3_294_225
    assert counts["weight_buffer_read"] // 8 == 34_848
    assert counts["accumulator_write"] == 3_484_800


def test_gemm_of_scale_sim_issue_51() -> None:
    """256x768x256 on 128x128 takes 12 folds of 128 + 256 cycles when nothing but preload and stream is counted."""
    arch = load_arch("scalesim_32x32_ws").with_(
        {"array.rows": 128, "array.cols": 128, "array.weight_preload": "overlapped"}
    )
    layer = result(dense(rows=256, k=768, units=256, shape_only=True), arch).layers[0]
    assert layer.stream_cycles == 12 * 256


def test_wide_operands_halve_and_quarter_the_rate() -> None:
    """TPUv1: 8 x 16 bits at half speed, 16 x 16 at a quarter (Jouppi et al. 2017, section 2)."""
    streams = []
    for weight_port, activation_port in ((8, 8), (8, 4), (4, 4)):
        arch = load_arch("edge_16x16").with_(
            {"array.weight_bits": weight_port, "array.activation_bits": activation_port}
        )
        streams.append(result(conv(), arch).layers[0].stream_cycles)
    assert streams[1] == 2 * streams[0]
    assert streams[2] == 4 * streams[0]


def test_depthwise_leaves_most_of_a_systolic_array_idle() -> None:
    geometry = MacGeometry(n=1, ih=18, iw=18, ic=64, oh=16, ow=16, oc=64, kh=3, kw=3, groups=64)
    layer = result(single(DepthwiseConv2D, geometry), load_arch("edge_16x16")).layers[0]
    assert layer.compute_utilization is not None
    assert layer.compute_utilization < 15 / 256  # at most five groups of 3x1 fit the diagonal of a 16x16 array


def test_a_narrow_buffer_port_slows_the_array() -> None:
    free = result(conv(size=16, ic=16, oc=32), load_arch("edge_16x16")).layers[0]
    arch = load_arch("edge_16x16").with_({"activation_buffer.bytes_per_cycle": 1})
    assert result(conv(size=16, ic=16, oc=32), arch).layers[0].compute_cycles > 4 * free.compute_cycles
