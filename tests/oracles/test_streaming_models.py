"""The four streaming models of microWakeWord: every tensor of 100 frames with state, against every runtime of the family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim import run, verify
from accelsim.execute import WholeReader, random_inputs
from accelsim.importers import load_graph
from tests.oracles.runtimes import RUNTIMES
from tests.wheels import extracted

PACKAGE = "pymicro-wakeword"
MODELS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
FRAMES = 100
REFUSED = {("hey_jarvis", "litert-optimized")}
"""Its depthwise layers of 30 channels are rounded in blocks of 8 and one by one."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the wheel, or skip where it cannot be had."""
    return extracted(PACKAGE, ".tflite", tmp_path_factory.mktemp("wakeword")) / "pymicro_wakeword" / "models"


@pytest.mark.parametrize("arithmetic", RUNTIMES)
@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_of_every_frame_is_that_of_the_runtime(models: Path, name: str, arithmetic: str) -> None:
    if (name, arithmetic) in REFUSED:
        pytest.skip("nothing to compare: refused by name")
    path = models / f"{name}.tflite"
    graph, reference = load_graph(path, arithmetic=arithmetic), RUNTIMES[arithmetic](path)
    batches = random_inputs(graph, count=FRAMES, seed=5)
    made = WholeReader(graph).run_batch(batches, keep="all")
    (entry,) = (port.tensor for port in graph.inputs)
    different = 0
    for i in range(FRAMES):
        theirs = reference({entry: batches[entry][i]})
        shared = made.keys() & theirs.keys()
        assert {variable.read for variable in graph.variables} <= shared
        different += sum(int((made[tensor][i].ravel() != theirs[tensor].ravel()).sum()) for tensor in shared)
    assert different == 0


def test_the_state_is_loaded_and_stored_once_a_frame(models: Path) -> None:
    """On a machine that keeps all else on chip: weights, the frame and the state come in, scores and the state go out."""
    done = run(models / "okay_nabu.tflite", arch="mcu_npu")
    graph, layers = done.graph, done.result.layers
    assert sum(layer.dram_write_bytes for layer in layers) == sum(graph.tensors[name].bytes for name in graph.results)
    loaded = graph.weight_bytes + sum(graph.tensors[name].bytes for name in graph.entries)
    assert sum(layer.dram_read_bytes for layer in layers) == loaded
    assert sum(graph.tensors[variable.read].bytes for variable in graph.variables) == 3408


def test_verify_and_the_program_agree_over_frames(models: Path) -> None:
    path, count = models / "hey_jarvis.tflite", 12
    frames = random_inputs(load_graph(path), count=count, seed=6)
    assert run(path, inputs=frames, check_inputs=None, reset_every=5).result.values is not None
    report = verify(path, inputs=frames, oracle="tflite-micro")
    assert report.matches
    assert not report.unmatched
    quiet = {name: np.zeros_like(batch) for name, batch in frames.items()}
    assert verify(path, inputs=quiet, tolerance="1").matches
