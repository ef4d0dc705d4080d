"""Every importer keeps the contract of importers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from accelsim.graph import Graph
from accelsim.importers import load_graph, packaged_models
from accelsim.testing import ImporterContract
from tests.importers.flat import Op, T, tflite_bytes
from tests.importers.onnx.models import Net
from tests.importers.onnx.networks import cnn
from tests.oracles.cases import CASES


class Folder(ImporterContract):
    """Files that a test makes."""

    seeds = range(6)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path


ON_MICRO = ("lstm", "svdf-8-bit-state")
"""Cases that LiteRT sums otherwise, or lacks."""


class TestTflite(Folder):
    def load(self, path: Path) -> Graph:
        return load_graph(path, arithmetic="tflite-micro" if path.name.startswith(ON_MICRO) else "litert-reference")

    def accepted(self) -> Iterable[Path]:
        for name, case in CASES.items():
            if name.startswith("sum"):  # LiteRT's reference kernel of it gives memory that nothing wrote
                continue
            yield self.file(f"{name}.tflite", case(np.random.default_rng(1), "INT8").blob)

    def refused(self) -> Iterable[tuple[Path, str]]:
        act = {"scale": 0.5, "zero": 0}
        blob = tflite_bytes(
            [T("x", (1, 4), **act), T("y", (1, 4), **act)], [Op("SIN", ["x"], ["y"])], inputs=["x"], outputs=["y"]
        )
        yield self.file("sine.tflite", blob), "SIN"


class TestOnnx(Folder):
    def accepted(self) -> Iterable[Path]:
        for seed in range(4):
            yield self.file(f"cnn_{seed}.onnx", cnn(seed, qdq=seed % 2 == 0).model().SerializeToString())

    def refused(self) -> Iterable[tuple[Path, str]]:
        net = Net(np.random.default_rng(0), qdq=True)
        net.unary("Hardmax", net.input((1, 4)))
        yield self.file("hardmax.onnx", net.model().SerializeToString()), "Hardmax"


class TestQonnxAndTables(Folder):
    """The packaged files of the other formats."""

    def accepted(self) -> Iterable[Path]:
        return [packaged_models()[name] for name in ("digits_w4a4", "resnet50", "alexnet_conv1_scalesim")]
