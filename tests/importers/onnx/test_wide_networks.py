"""Whole networks of 16-bit activations and 8-bit weights, as ONNX Runtime's quantizer makes them: no code is off that is not named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.verification import verify
from tests.importers.onnx.static import quantize_static
from tests.importers.onnx.test_torch_networks import exported
from tests.shared_models import SHARED

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
CODES = {
    "mobilenet_v2": 200_000,
    "mobilenet_v3_small": 100_000,
    "resnet50": 1_000_000,
    "bert_block": 10_000,
    "block": 5_000,
}
"""The networks, and how many codes are compared at least."""
SMALL = "bert_block", "block"
"""Networks that every run tries in all forms."""
SOME = "mobilenet_v2", "mobilenet_v3_small"
"""Networks that every run tries in the first form; ACCELSIM_EVERY_FORM=1 tries all networks in all forms, which takes minutes."""
FORMS: dict[str, dict[str, Any]] = {
    "uint16": {"activation": "QUInt16", "weight": "QInt8"},
    "int16": {"activation": "QInt16", "weight": "QInt8", "extra_options": {"ActivationSymmetric": True}},
    "contrib": {"activation": "QUInt16", "weight": "QInt8", "extra_options": {"UseQDQContribOps": True}},
}


def source(name: str, folder: Path) -> Path:
    """The float network: an encoder block of the shared cases, or one of torchvision's."""
    if name != "block":
        return exported(name, folder)
    path = SHARED / "cases" / "transformer" / "block.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set ACCELSIM_SHARED to the folder with the third-party models")
    return path


def makers(graph: Graph, shown: set[str], name: str) -> set[str]:
    """The layer, and those before it up to the tensors that the runtime shows: what of them is named is named of it."""
    by_output = {layer.output: layer for layer in graph.layers}
    layer = next(each for each in graph.layers if each.name == name)
    hidden = [by_output[x].name for x in layer.inputs if x in by_output and by_output[x].name not in shown]
    return {name}.union(*(makers(graph, shown, each) for each in hidden))


def tried() -> list[tuple[str, str]]:
    """Pairs of a network and a form."""
    every = os.environ.get("ACCELSIM_EVERY_FORM") == "1"
    return [
        (name, form)
        for name in CODES
        for form in FORMS
        if every or name in SMALL or (name in SOME and form == "uint16")
    ]


@pytest.mark.parametrize(("name", "form"), tried())
def test_no_code_of_a_wide_network_differs_that_is_not_named(name: str, form: str, tmp_path: Path) -> None:
    """Codes that are named are off by one, one in a thousand at most."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    float_one, prepared, path = source(name, tmp_path), tmp_path / "prepared.onnx", tmp_path / "wide.onnx"
    shape = tuple(size.dim_value for size in onnx.load(float_one).graph.input[0].type.tensor_type.shape.dim)
    quant_pre_process(str(float_one), str(prepared), skip_symbolic_shape=True)
    quantize_static(prepared, path, shape, count=2, **FORMS[form])
    x = np.random.default_rng(3).normal(0, 1, (1, *shape[1:])).astype(np.float32)
    report = verify(path, arithmetic="onnxruntime", oracle="onnxruntime", inputs={"x": x})
    assert report.complete, report.unmatched
    assert report.elements >= CODES[name]
    graph, shown = load_graph(path, arithmetic="onnxruntime"), {layer.layer for layer in report.layers}
    off = {layer.layer: layer.forced for layer in report.layers if layer.forced.differing}
    unnamed = {each for each in off if not makers(graph, shown, each) & graph.approximations.keys()}
    assert unnamed == set()
    assert max((one.max_lsb for one in off.values()), default=0) <= 1
    assert sum(one.differing for one in off.values()) <= report.elements / 1000
