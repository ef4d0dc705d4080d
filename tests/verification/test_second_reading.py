"""What a reader misreads stands on both sides of fake-quant; a program that read the file itself says so."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from accelsim.arch import load_arch
from accelsim.cli import main
from accelsim.execute import random_inputs
from accelsim.graph import AveragePool2D, Graph, MacLayer
from accelsim.importers import load_for, load_graph
from accelsim.numerics import INT8, INT16
from accelsim.verification import VerificationReport, names, verify
from accelsim.verification.second_reading import SecondReading, second_reading, slack
from tests.importers.onnx.models import Net
from tests.importers.onnx.networks import cnn
from tests.importers.onnx.runtime import save
from tests.shared_models import INT8_MODELS, SHARED, model_path
from tests.verification.networks import digits, images

pytestmark = pytest.mark.oracle
session = importlib.import_module("accelsim.verification.session")
EDGE = load_arch("edge_16x16")


def read(path: Path, graph: Graph | None = None, seed: int = 0) -> SecondReading:
    known = load_for(path, EDGE)[0] if graph is None else graph
    feed = {name: batch[0] for name, batch in random_inputs(known, count=1, seed=seed).items()}
    found = second_reading(path, known, feed)
    assert found is not None
    return found


def pooled(tmp_path: Path, counts_padding: int) -> Path:
    folder = tmp_path / str(counts_padding)
    folder.mkdir()
    net = Net(np.random.default_rng(0), qdq=True, kind="int8", weight_kind="int8")
    net.average_pool(net.conv(net.input((1, 3, 9, 9)), 4, 3), 3, pads=(1, 1, 1, 1), count_include_pad=counts_padding)
    return save(net.model(), folder)


@pytest.mark.parametrize("name", ["digits_cnn", *INT8_MODELS])
def test_litert_reads_every_layer_alike(name: str) -> None:
    pytest.importorskip("ai_edge_litert.interpreter")
    path = digits() if name == "digits_cnn" else model_path(name)
    layers = len(load_graph(path).layers)
    assert read(path) == (
        (),
        f"read alike by LiteRT's reference kernels in {layers} of {layers} layers (first inference)",
    )


@pytest.mark.parametrize("options", [{"qdq": True}, {"qdq": False}, {"qdq": True, "kind": "uint8"}])
@pytest.mark.parametrize("seed", range(4))
def test_networks_are_read_alike(seed: int, options: dict[str, Any], tmp_path: Path) -> None:
    found = read(save(cnn(seed, **options).model(), tmp_path), seed=seed)
    assert found.findings == ()
    assert int(found.note.split(" in ")[1].split()[0]) >= 6


def test_every_given_file_is_read_alike() -> None:
    folder = SHARED / "cases" / "imports"
    paths = sorted(path for path in folder.glob("k*") if path.suffix in (".onnx", ".tflite"))
    if not paths:
        pytest.skip(f"no files in {folder}")
    found = {}
    for path in paths:
        try:
            graph = load_for(path, EDGE)[0]
        except Exception:  # refused, which other tests are about
            continue
        found[path.name] = read(path, graph)
    assert len(found) >= 25
    assert {name: reading.findings for name, reading in found.items() if reading.findings} == {}


def misread(monkeypatch: pytest.MonkeyPatch, graph: Graph) -> None:
    monkeypatch.setattr(session, "load_for", lambda model, machine: (graph, machine))


def test_an_attribute_that_is_not_looked_at_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader takes count_include_pad for 0; on both sides of fake-quant, so that nothing but the file itself can tell."""
    path, other = pooled(tmp_path, 1), load_for(pooled(tmp_path, 0), EDGE)[0]
    right = verify(path, arch=EDGE, arithmetic="onnxruntime", tolerance="1lsb")
    assert right.matches
    misread(monkeypatch, other)
    report = verify(path, arch=EDGE, tolerance="1lsb")
    (finding,) = report.findings
    pool = next(layer for layer in other.layers if isinstance(layer, AveragePool2D))
    assert (finding.kind, finding.layer) == (names.READING, pool.name)
    assert "from what the onnx reference evaluator makes of the file" in finding.text
    assert not any(layer.beyond for layer in report.layers)
    assert not report.matches
    assert "read otherwise by the onnx reference evaluator in 1 of" in " ".join(report.notes)


def test_the_command_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = pooled(tmp_path, 1), load_for(pooled(tmp_path, 0), EDGE)[0]
    misread(monkeypatch, other)
    done = CliRunner().invoke(main, ["verify", str(path), "--tolerance", "1lsb", "--json", str(tmp_path / "r.json")])
    assert done.exit_code == 1
    assert "read otherwise: " in done.output
    assert not json.loads((tmp_path / "r.json").read_text())["matches"]


def test_a_weight_read_with_another_sign_is_found() -> None:
    pytest.importorskip("ai_edge_litert.interpreter")
    graph = load_for(digits(), EDGE)[0]
    at = next(i for i, layer in enumerate(graph.layers) if isinstance(layer, MacLayer))
    layer = graph.layers[at]
    assert isinstance(layer, MacLayer)
    assert layer.weights is not None
    wrong = replace(layer, weights=np.maximum(-layer.weights, -127).astype(np.int8))
    found = read(digits(), replace(graph, layers=(*graph.layers[:at], wrong, *graph.layers[at + 1 :])))
    assert [finding.layer for finding in found.findings] == [layer.name]


def test_moved_codes_are_not_one_code_apart() -> None:
    assert (slack(INT8), slack(INT16)) == (1, 4)


def of(report: VerificationReport) -> str:
    return " ".join(report.notes)


def test_who_read_the_file_stands_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert.interpreter")
    inputs, _ = images(2)
    assert "read alike by LiteRT's reference kernels" in of(verify(digits(), inputs=inputs))
    assert "read alike" not in of(verify(digits(), inputs=inputs, oracle="litert-ref")), "which read the file itself"
    assert "read alike" not in of(verify(load_graph(digits()), inputs=inputs)), "there is no file"
    real = importlib.import_module("accelsim.verification.oracles.base").import_module

    def missing(name: str) -> Any:
        if name.startswith("ai_edge_litert"):
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr("accelsim.verification.oracles.base.import_module", missing)
    said = "no other program read the file to check how it was read (LiteRT's reference kernels: ai-edge-litert is not installed)"
    assert said in of(verify(digits(), inputs=inputs))
