"""Files of older opsets are brought up to the first one that is read: the same codes as ONNX Runtime's on the file as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from accelsim.errors import ModelError
from accelsim.importers import load_graph
from tests.importers.onnx.building import Building, differing
from tests.importers.onnx.models import Net
from tests.importers.onnx.runtime import differences, save
from tests.test_cli import cli


def older(opset: int) -> onnx.ModelProto:
    """QDQ with operators whose axes were attributes, and a Softmax over all axes from 1 on."""
    b = Building(np.random.default_rng(opset), opset=opset)
    y = b.requantized(b.node("Relu", b.node("Conv", b.real(1, 2, 8, 8), b.weights(4, 2, 3, 3))), 0.02)
    y = b.node("Squeeze", b.node("Unsqueeze", y, axes=[0]), axes=[0])
    for piece in (y, b.node("ReduceMax", y, axes=[2], keepdims=0)):
        b.requantized(piece, 0.02)
    b.requantized(b.node("Flatten", b.node("MaxPool", y, kernel_shape=[2, 2])), 0.02)
    model = b.model()
    model.ir_version = 6
    return model


@pytest.mark.parametrize("opset", [10, 11, 12])
def test_older_opsets_in_qdq(opset: int, tmp_path: Path) -> None:
    assert differing(older(opset), tmp_path) == (0, 0)
    told = load_graph(save(older(opset), tmp_path)).converted
    assert told == f"from opset {opset} to 13 by onnx.version_converter"
    assert told in " ".join(cli("import", save(older(opset), tmp_path)).output.split())


@pytest.mark.parametrize("opset", [10, 11, 12])
def test_older_opsets_of_quantized_operators(opset: int, tmp_path: Path) -> None:
    n = Net(np.random.default_rng(opset), opset=opset)
    y = n.conv(n.input((1, 4, 8, 8)), 4, pads=[1] * 4)
    n.dense(n.move("Flatten", n.global_pool(n.binary("Add", y, y)), (1, 4)), 5)
    model = n.model()
    model.ir_version = 6
    wrong, compared = differences(model, n.random_feeds(3), tmp_path)
    assert not wrong
    assert compared


def test_a_softmax_over_several_axes_stays_one(tmp_path: Path) -> None:
    b = Building(np.random.default_rng(3), opset=11)
    b.requantized(b.node("Softmax", b.real(2, 3, 4, 5), axis=1), 1 / 256)
    model = b.model()
    model.ir_version = 6
    wrong, worst = differing(model, tmp_path)
    assert worst <= 1
    assert not wrong or load_graph(save(model, tmp_path)).approximations


def test_what_onnx_cannot_convert_is_refused(tmp_path: Path) -> None:
    model = older(12)
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", 5))
    with pytest.raises(ModelError, match="opset 5 cannot be brought to 13: expected 7 or later"):
        load_graph(save(model, tmp_path))
