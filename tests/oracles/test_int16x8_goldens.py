"""Golden inputs and outputs of tflite-micro's 16x8 integration tests, recorded by others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.execute import WholeReader
from accelsim.importers import load_graph
from accelsim.importers.tflite.file.reader import read_tflite
from tests.oracles.runtimes import RUNTIMES, differences
from tests.shared_models import SHARED

pytestmark = pytest.mark.oracle
FOLDER = SHARED / "models" / "int16x8"
MODELS = sorted(path.stem for path in FOLDER.glob("*.tflite"))

MICRO_DEVIATES_FROM_ITS_GOLDEN = {"leaky_relu3": 3}
"""Elements. The goldens come from LiteRT, which takes ratios of scales in float32; tflite-micro takes them in double."""


def table(path: Path) -> NDArray[Any]:
    return np.loadtxt(path, delimiter=",").astype(np.dtype(path.stem.rsplit("_", 1)[1])).reshape(-1)


def inputs(name: str) -> dict[str, NDArray[Any]]:
    model = read_tflite(FOLDER / f"{name}.tflite")
    files = [next(FOLDER.glob(f"{name}_input{k}_*.csv")) for k in range(len(model.inputs))]
    tensors = [model.tensors[i] for i in model.inputs]
    return {t.name: table(file).reshape(t.shape) for t, file in zip(tensors, files, strict=True)}


@pytest.mark.skipif(not MODELS, reason="models/int16x8 is absent; set ACCELSIM_SHARED")
def test_there_are_goldens_of_eight_operators() -> None:
    assert {name.rstrip("0123456789") for name in MODELS} == {
        "add", "conv", "leaky_relu", "pad", "quantize", "strided_slice", "sub", "transpose_conv",
    }  # fmt: skip


@pytest.mark.parametrize("arithmetic", ["tflite-micro", "litert-reference"])
@pytest.mark.parametrize("name", MODELS)
def test_golden(name: str, arithmetic: str) -> None:
    graph = load_graph(FOLDER / f"{name}.tflite", arithmetic=arithmetic)
    given = inputs(name)
    ours = WholeReader(graph).run({port.tensor: given[port.tensor] for port in graph.inputs})
    golden = table(next(FOLDER.glob(f"{name}_golden_*.csv")))
    expected = MICRO_DEVIATES_FROM_ITS_GOLDEN.get(name, 0) if arithmetic == "tflite-micro" else 0
    assert np.count_nonzero(ours[graph.outputs[0].tensor].reshape(-1) != golden) == expected


@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
@pytest.mark.parametrize("name", MODELS)
def test_runtime(name: str, arithmetic: str) -> None:
    assert set(differences(FOLDER / f"{name}.tflite", arithmetic, [inputs(name)]).values()) == {0}
