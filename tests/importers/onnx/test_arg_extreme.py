"""ArgMax and ArgMin: indices of codes as ONNX Runtime gives them, and what a network that ends in them is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import accelsim
from accelsim.errors import InputError, UnsupportedOperatorError
from accelsim.graph import ArgMax, ArgMin, Graph
from accelsim.importers import load_graph
from accelsim.verification import verify
from tests.importers.onnx.models import Net
from tests.importers.onnx.runtime import runtime, save
from tests.importers.onnx.vector_models import compared

FORMS = [((2, 5, 6, 7), 1), ((2, 5, 6, 7), -4), ((2, 3, 4, 600), 3), ((3, 4, 5), 1), ((1, 600), -1), ((600,), 0)]


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("qdq", [False, True], ids=["codes", "qdq"])
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_every_index_is_onnxruntimes(op: str, qdq: bool, kind: str, tmp_path: Path) -> None:
    """Of 600 codes the extreme stands in several places."""
    nets = []
    for seed, (shape, axis) in enumerate(FORMS):
        for keep, last in ((0, 0), (0, 1), (1, 0), (1, 1)):
            net = Net(np.random.default_rng(seed), kind=kind, qdq=qdq)
            net.place(op, net.input(shape), axis, keep=keep, last=last)
            nets.append(net)
    result = compared(nets, tmp_path)
    assert result.compared > 1000
    assert result.differing == 0
    assert result.graph is not None
    assert type(result.graph.layers[0]) is (ArgMax if op == "ArgMax" else ArgMin)
    assert not result.graph.approximations


def test_a_scale_that_makes_codes_equal_numbers_is_refused(tmp_path: Path) -> None:
    net = Net(np.random.default_rng(0), qdq=True)
    x = replace(net.input((1, 9)), scale=3e38, zero=0)
    net.place("ArgMax", x, 1)
    with pytest.raises(
        UnsupportedOperatorError, match="stand for equal numbers; accepted: a scale at which float32 tells"
    ):
        load_graph(save(net.model(), tmp_path))


def test_of_a_float_result_it_is_refused(tmp_path: Path) -> None:
    net = Net(np.random.default_rng(0), qdq=True)
    x = net.input((1, 9))
    net.node("Softmax", [net.real(x)], "s", axis=-1)
    net.made["i"] = (1, 1)
    net.indices.add("i")
    net.node("ArgMax", ["s"], "i", axis=1)
    with pytest.raises(UnsupportedOperatorError, match="is the float result of a softmax, not quantized"):
        load_graph(save(net.model(), tmp_path))


def classifier(folder: Path, *, pixels: bool = False) -> Path:
    """A convolution whose 5 channels are classes: of the image, or of every pixel."""
    net = Net(np.random.default_rng(3), qdq=True)
    y = net.conv(net.input((1, 3, 6, 6)), 5, 3, pads=[1] * 4)
    net.place("ArgMax", y if pixels else net.move("Flatten", net.global_pool(y), (1, 5), axis=1), 1, keep=0)
    return save(net.model(), folder)


def ended(path: Path) -> tuple[Graph, np.ndarray, np.ndarray]:
    """The Graph, with its indices as the only output; inputs; and what ONNX Runtime makes of them."""
    import onnx

    model = onnx.load(str(path))
    del model.graph.output[:-1]
    path.write_bytes(model.SerializeToString())
    images = np.random.default_rng(1).integers(0, 256, (40, 3, 6, 6)).astype(np.uint8)
    session = runtime(model, int8=False)
    theirs = np.concatenate([session.run(None, {"x0": image[None]})[0] for image in images])
    return load_graph(path), images, theirs


@pytest.mark.oracle
def test_accuracy_of_a_network_that_ends_in_a_class(tmp_path: Path) -> None:
    path = classifier(tmp_path)
    graph, images, theirs = ended(path)
    assert graph.classes(graph.outputs[0].tensor) == 5
    assert len(set(theirs.tolist())) > 1
    labels = theirs.copy()
    labels[:10] = (labels[:10] + 1) % 5
    values = accelsim.run(path, arch="edge_16x16", inputs=images, labels=labels).result.values
    assert values is not None
    assert (values.correct, values.accuracy) == (30, 0.75)
    report = verify(path, inputs=images, labels=labels, oracle="onnxruntime", arithmetic="onnxruntime")
    assert report.matches
    assert report.output is not None
    assert (report.output.oracle_accuracy, report.output.machine_accuracy) == (0.75, 0.75)
    with pytest.raises(InputError, match="5 at index 0 is no output of the network"):
        accelsim.run(path, arch="edge_16x16", inputs=images, labels=np.full(40, 5))


@pytest.mark.oracle
def test_a_class_of_every_pixel(tmp_path: Path) -> None:
    path = classifier(tmp_path, pixels=True)
    graph, images, theirs = ended(path)
    run = accelsim.run(path, arch="edge_16x16", inputs=images, keep="outputs")
    assert run.tensors is not None
    assert np.array_equal(run.tensors[graph.outputs[0].tensor].reshape(theirs.shape), theirs)
    (last,) = (layer for layer in run.result.layers if layer.op == "ARG_MAX")
    assert last.cycles > 0
    assert verify(path, inputs=images, oracle="fake-quant").output is not None
    with pytest.raises(InputError, match="ends in 36 indices of classes for each inference"):
        accelsim.run(path, arch="edge_16x16", inputs=images, labels=np.zeros(40, np.int64))
