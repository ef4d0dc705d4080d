"""Several images at a time: what a network of that batch says, and every image's work once."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.execute import WholeReader, accumulator_formats
from accelsim.explore import batched
from accelsim.graph import Concat, Graph, HostPort, MatMul, Mean, Pad, StridedSlice, Tensor, Transpose
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph
from accelsim.numerics import INT8
from accelsim.program import check_program
from accelsim.testing.networks import random_input
from accelsim.timing import schedule, schedule_simpy
from tests.explore.test_evaluate import network_and_machine, same
from tests.generate import random_program

EDGE = load_arch("edge_16x16")
HEADER = "name,op,n,h,w,c,kh,kw,oc,stride,padding,groups,inputs\n"
ROWS = (
    "stem,conv2d,{n},12,12,3,3,3,16,2,same,1,\n"
    "dw,depthwise_conv2d,{n},6,6,16,3,3,16,1,same,16,stem\n"
    "sum,add,{n},6,6,16,1,1,16,1,valid,1,stem dw\n"
    "squeeze,mean,{n},6,6,16,1,1,16,1,valid,1,sum\n"
    "scaled,scale,{n},6,6,16,1,1,16,1,valid,1,sum squeeze\n"
    "pool,max_pool,{n},6,6,16,2,2,16,2,valid,1,scaled\n"
    "rows,softmax,{n},3,3,16,1,1,16,1,valid,1,pool\n"
    "fc,dense,1,{n},1,144,1,1,10,1,valid,1,rows\n"
    "act,lut,{n},1,1,10,1,1,10,1,valid,1,fc\n"
)
ATTENTION = "qk,matmul,1,16,1,{c},1,1,{oc},1,valid,{g},\n"


def table(folder: Path, rows: str, **sizes: int) -> Path:
    path = folder / "network.csv"
    path.write_text(HEADER + rows.format(**sizes))
    return path


@pytest.mark.parametrize("images", [1, 2, 5])
@pytest.mark.parametrize("edit", [{}, {"cores.count": 2}, {"activation_buffer.resident_bytes": "16 KiB"}])
def test_a_batch_is_the_table_of_that_batch(images: int, edit: dict[str, object], tmp_path: Path) -> None:
    (row,) = accelsim.evaluate(table(tmp_path, ROWS, n=1), arch=EDGE, edits=[{"batch": images} | edit])
    same(row, table(tmp_path, ROWS, n=images), EDGE, dict(edit))


def test_products_of_two_activations_are_groups_of_their_own(tmp_path: Path) -> None:
    (row,) = accelsim.evaluate(table(tmp_path, ATTENTION, c=64, oc=32, g=2), arch=EDGE, edits=[{"batch": "3"}])
    same(row, table(tmp_path, ATTENTION, c=192, oc=96, g=6), EDGE, {})


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_a_row_is_what_simulate_says_of_the_batched_network(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, arch = network_and_machine(rng, quick=False)
    arch, images = arch.with_({"arithmetic": graph.arithmetic.partition("+")[0]}), int(rng.integers(1, 5))
    (row,) = accelsim.evaluate(graph, arch=arch, edits=[{"batch": images}])
    same(row, batched(graph, images), arch, {})


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_every_image_is_computed_once_whatever_the_kinds_of_layer(seed: int, images: int) -> None:
    program = random_program(seed)
    graph = batched(program.graph, images)
    assert graph.macs == images * program.graph.macs
    assert graph.weight_bytes == program.graph.weight_bytes
    for name, tensor in graph.tensors.items():
        times = 1 if name in graph.constants else images
        assert tensor.elements == times * program.graph.tensors[name].elements
    roomy = EDGE.with_({"arithmetic": graph.arithmetic.partition("+")[0]})
    built = build_program(graph, arch=roomy, mappings=map_graph(graph, arch=roomy))
    check_program(built)
    np.testing.assert_array_equal(schedule(built).finish, schedule_simpy(built).finish)


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_the_values_are_those_of_each_image_alone(seed: int) -> None:
    program, rng = random_program(seed), np.random.default_rng(seed)
    graph, images = program.graph, [random_input(rng, program.graph) for _ in range(3)]
    assume(not any(isinstance(layer, MatMul) for layer in graph.layers))
    accumulators = accumulator_formats(graph, program.arch)
    alone = [WholeReader(graph, accumulators=accumulators).run(image, keep="all") for image in images]
    several = {name: np.concatenate([image[name] for image in images]) for name in images[0]}
    together = WholeReader(batched(graph, 3), accumulators=accumulators).run(several, keep="all")
    for name in alone[0].keys() - graph.constants.keys():
        np.testing.assert_array_equal(together[name].ravel(), np.concatenate([x[name].ravel() for x in alone]))


AXES = {
    "concat": (Concat, ((2, 3), (1, 3)), (3, 3), {"axis": 0}, {"axis": 1}),
    "transpose": (Transpose, ((2, 3),), (3, 2), {"permutation": (1, 0)}, {"permutation": (0, 2, 1)}),
    "mean": (Mean, ((4, 3),), (1, 3), {"axes": (0,)}, {"axes": (1,)}),
    "pad": (Pad, ((2, 3),), (4, 3), {"before": (1, 0)}, {"before": (0, 1, 0)}),
    "slice": (StridedSlice, ((4, 3),), (2, 3), {"begin": (1, 0), "strides": (2, 1)},
              {"begin": (0, 1, 0), "strides": (1, 2, 1)}),
}  # fmt: skip


@pytest.mark.parametrize("which", AXES)
def test_a_layer_that_mixes_its_first_axis_gets_one_for_the_images(which: str) -> None:
    kind, shapes, shape, fields, moved = AXES[which]
    names = tuple(f"x{i}" for i in range(len(shapes)))
    tensors = {name: Tensor(name, x, INT8) for name, x in zip(names, shapes, strict=True)} | {
        "y": Tensor("y", shape, INT8)
    }
    layer = kind(name="layer", inputs=names, output="y", shapes=shapes, shape=shape, **fields)
    graph = Graph(
        name="one", arithmetic="none", tensors=tensors, layers=(layer,), inputs=tuple(HostPort(n, n) for n in names),
        outputs=(HostPort("y", "y"),), shape_only=True,
    )  # fmt: skip
    (several,) = batched(graph, 5).layers
    assert several.input_shapes == tuple((5, *x) for x in shapes)
    assert several.output_shape == (5, *shape)
    assert {name: getattr(several, name) for name in moved} == moved


def test_weights_are_loaded_for_all_images_where_they_stay() -> None:
    """Eight images on a machine whose buffers hold every weight: their bytes are not read eight times."""
    roomy = {
        "weight_buffer.size_bytes": "1 MiB",
        "activation_buffer.size_bytes": "1 MiB",
        "output_buffer.size_bytes": "1 MiB",
    }
    one, eight = accelsim.evaluate("digits_cnn", arch=EDGE, edits=[roomy, roomy | {"batch": 8}])
    assert eight["error"] == ""
    assert one["cycles"] < eight["cycles"] < 8 * one["cycles"]
    assert eight["dram_read_bytes"] < 8 * one["dram_read_bytes"]
    assert eight["dram_write_bytes"] == 8 * one["dram_write_bytes"]


@pytest.mark.parametrize("value", [0, -1, "many", 1.5, 10**9, None, ""])
def test_what_is_no_number_of_images_is_an_error_of_its_row(value: object) -> None:
    wrong, right = accelsim.evaluate("digits_cnn", arch=EDGE, edits=[{"batch": value}, {"batch": 1}])
    assert wrong["error"].startswith("batch: expected a number of images, 1 to 1,048,576, got ")
    assert math.isnan(wrong["energy_pj"])
    assert right["error"] == ""


def test_one_image_is_the_network_itself() -> None:
    graph = load_graph("digits_cnn")
    assert batched(graph, 1) is graph


def test_a_batch_is_the_model_file_of_that_batch(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model, path = onnx.load(resolve_model("digits_w4a4")), tmp_path / "four.onnx"
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = 4
    del model.graph.value_info[:]
    onnx.save(model, path)
    (row,) = accelsim.evaluate("digits_w4a4", arch=EDGE, edits=[{"batch": 4}])
    same(row, path, EDGE, {})
