"""PyTorch's eager quantization-aware training: the scale mismatch of its fused observer is found and named."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.graph import Conv2D, Graph, HostPort, MacGeometry, Tensor
from accelsim.numerics import INT8, UINT8
from accelsim.quant import requant_from_scales
from accelsim.verification import names, verify

TORCH = os.environ.get("ACCELSIM_TORCH_PYTHON", "")
SCRIPT = Path(__file__).with_name("torch_observer.py")
Held = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    if not TORCH:
        pytest.skip("ACCELSIM_TORCH_PYTHON names no Python with torch")
    target = tmp_path_factory.mktemp("torch") / "observer.npz"
    done = subprocess.run([TORCH, str(SCRIPT), str(target)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(target) as archive:
        return {name: archive[name] for name in archive.files}


def graph_of(held: Held, which: str) -> Graph:
    """The convolution with the weights and scales of training (``fake``) or after conversion (``int``)."""
    weights = np.ascontiguousarray(held[f"{which}_codes"].transpose(0, 2, 3, 1)).astype(np.int8)
    s_w, s_in, s_out = held[f"{which}_scale"], float(held["x_scale"][0]), float(held["y_scale"][0])
    zero_in, zero_out = int(held["x_zero"][0]), int(held["y_zero"][0])
    geometry = MacGeometry(n=1, ih=12, iw=12, ic=3, oh=10, ow=10, oc=8, kh=3, kw=3)
    requant = requant_from_scales(
        "float32_half_even", s_in=s_in, s_w=s_w, s_out=s_out, zero_point=zero_out, clamp_min=0, clamp_max=127
    )
    layer = Conv2D(
        name="conv", inputs=("x",), output="y", geometry=geometry, weights=weights, weight_format=INT8,
        input_zero_point=zero_in, requant=requant, weight_scales=s_w,
    )  # fmt: skip
    tensors = {
        "x": Tensor("x", geometry.input_shape, UINT8, zero_in, s_in),
        "y": Tensor("y", geometry.output_shape, UINT8, zero_out, s_out),
    }
    return Graph(
        name=which, arithmetic="onnxruntime", tensors=tensors, layers=(layer,), inputs=(HostPort("x", "x"),),
        outputs=(HostPort("y", "y"),),
    )  # fmt: skip


def images(held: Held) -> NDArray[Any]:
    return held["x"].transpose(0, 2, 3, 1).astype(np.uint8)


@pytest.mark.oracle
@pytest.mark.slow
def test_fake_quant_reading_is_pytorchs(held: Held) -> None:
    """Our float32 reading of the weights of training gives PyTorch's own fake-quantized codes."""
    from accelsim.verification.oracles.fake import FakeQuant

    reading = FakeQuant(graph_of(held, "fake"))
    theirs = held["y"].transpose(0, 2, 3, 1)
    ours = np.concatenate([reading.run({"x": image[None]})["y"] for image in images(held)])
    assert np.abs(ours - theirs).max() <= 1
    # Sums in another order may fall on the other side of a rounding edge: arithmetic.md counts at most 27 in 10^6.
    assert np.count_nonzero(ours != theirs) <= 3


@pytest.mark.oracle
@pytest.mark.slow
def test_conversion_mismatch_is_named(held: Held) -> None:
    report = verify(
        graph_of(held, "int"), arch="edge_16x16", inputs=images(held), arithmetic="onnxruntime",
        reference=graph_of(held, "fake"),
    )  # fmt: skip
    assert not report.matches
    found = [f for f in report.findings if f.kind == names.SCALE]
    assert [f.layer for f in found] == ["conv"]
    assert "256/255" in found[0].text
    assert "PyTorch's fused observer" in found[0].text
    share = report.differing / report.elements
    assert 0.005 < share < 0.13  # 1.2 to 13 % of the codes (arithmetic.md, 4.5)
    causes = report.causes()
    assert sum(causes.values()) == report.differing
    assert causes[names.SCALE] + causes.get(names.WEIGHTS, 0) > 0.99 * report.differing


@pytest.mark.oracle
@pytest.mark.slow
def test_without_conversion_there_is_no_such_cause(held: Held) -> None:
    graph = graph_of(held, "fake")
    same = verify(
        replace(graph, name="again"), arch="edge_16x16", inputs=images(held), arithmetic="onnxruntime", reference=graph
    )
    assert names.SCALE not in same.causes()
    assert same.findings == ()
    assert same.differing <= 3
