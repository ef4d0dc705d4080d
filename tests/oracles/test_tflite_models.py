"""Trained networks: every tensor of every layer equals that of four runtimes, on real and random inputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.execute import WholeReader
from accelsim.importers import load_graph, resolve_model
from accelsim.importers.tflite.file.reader import read_tflite
from accelsim.numerics import INT8
from accelsim.quant import quantize
from tests.oracles.runtimes import RUNTIMES, differences
from tests.shared_models import INT8_MODELS, SHARED, model_path

pytestmark = pytest.mark.oracle
Codes = NDArray[np.int8]
INPUTS = 20


def random_codes(shape: tuple[int, ...], count: int) -> list[Codes]:
    rng = np.random.default_rng(5)
    return [rng.integers(-128, 128, shape).astype(np.int8) for _ in range(count)]


def photograph_tiles(count: int) -> Iterator[NDArray[np.float32]]:
    """32x32 tiles of scikit-learn's two photographs, each averaged from a square of 128 or 64 pixels."""
    pytest.importorskip("PIL", reason="scikit-learn reads its photographs with Pillow")
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn has the photographs")
    images = datasets.load_sample_images().images
    for i in range(count):
        image, side = images[i % 2], (128, 64)[i // 2 % 2]
        top, left = 40 * (i // 4), 60 * (i // 4)
        tile = image[top : top + side, left : left + side].astype(np.float32)
        yield tile.reshape(32, side // 32, 32, side // 32, 3).mean(axis=(1, 3))


def real_codes(name: str, path: Path) -> list[Codes]:
    """Real inputs of one network, quantized with its own input parameters."""
    source = read_tflite(path).tensors[read_tflite(path).inputs[0]]
    if name.startswith("kws"):
        samples = np.load(SHARED / "samples" / "kws_mfcc_int8.npz")
        return [
            codes.reshape(source.shape).astype(np.int8)
            for key in samples
            for codes in np.atleast_1d(samples[key])[None]
        ]
    if name.startswith("ad"):
        windows = np.load(SHARED / "samples" / "ad_mel_windows_f32.npz")
        real = list(windows[windows.files[0]].reshape(-1, 640)[::10][:16])
    else:
        real = list(photograph_tiles(12))
    scale, zero = float(source.scales[0]), int(source.zero_points[0])
    return [quantize(x, scale=scale, zero_point=zero, fmt=INT8).reshape(source.shape) for x in real]


def feeds(name: str, path: Path, count: int = INPUTS) -> list[dict[str, Codes]]:
    """At least ``count`` inputs: the real ones there are, and random ones."""
    model = read_tflite(path)
    source = model.tensors[model.inputs[0]]
    codes = real_codes(name, path)
    codes += random_codes(source.shape, max(count - len(codes), 4))
    return [{source.name: x} for x in codes]


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
@pytest.mark.parametrize("name", INT8_MODELS)
def test_every_tensor_of_a_trained_network(name: str, arithmetic: str) -> None:
    path = model_path(name)
    given = feeds(name, path)
    assert len(given) >= INPUTS
    found = differences(path, arithmetic, given)
    assert len(found) == len(load_graph(path).layers)
    assert {tensor: count for tensor, count in found.items() if count} == {}


@pytest.mark.parametrize("arithmetic", list(RUNTIMES))
@pytest.mark.parametrize("name", ["digits_cnn_int8", "digits_cnn_int16x8"])
def test_every_tensor_of_the_packaged_network(name: str, arithmetic: str) -> None:
    path = resolve_model(name)
    model = read_tflite(path)
    source = model.tensors[model.inputs[0]]
    info = np.iinfo(source.type.lower())
    rng = np.random.default_rng(1)
    given: list[dict[str, Any]] = [
        {source.name: rng.integers(info.min, info.max + 1, source.shape).astype(info.dtype)} for _ in range(INPUTS)
    ]
    assert set(differences(path, arithmetic, given).values()) == {0}


def test_the_wrong_arithmetic_is_noticed() -> None:
    """The comparison has teeth: requantized in float32, codes of the first network differ from tflite-micro's."""
    path = model_path("ic_resnet8_int8")
    feed = feeds("ic_resnet8_int8", path)[0]
    theirs = RUNTIMES["tflite-micro"](path)(feed)
    graph = load_graph(path, arithmetic="litert-xnnpack")
    ours = WholeReader(graph).run({port.tensor: feed[port.tensor] for port in graph.inputs}, keep="all")
    wrong = sum(int((ours[layer.output] != theirs[layer.output]).sum()) for layer in graph.layers)
    assert wrong > 0
