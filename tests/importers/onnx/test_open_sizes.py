"""Files that leave sizes open: read with the shapes that are given, and as ONNX Runtime runs them."""

from __future__ import annotations

import pickle
from pathlib import Path

import click
import numpy as np
import onnx
import pytest

from accelsim.cli import main
from accelsim.errors import ModelError
from accelsim.importers import load_graph, resolve_model, shapes_of, sized
from tests.importers.onnx.building import Building
from tests.importers.onnx.runtime import run_graph, runtime, save
from tests.test_cli import cli, error_of


def open_model(axes: tuple[int, ...] = (0, 2, 3)) -> onnx.ModelProto:
    """Conv, its batch from Shape, Gather and Unsqueeze, Reshape; the input 1x2x8x8 has open ``axes``."""
    b = Building(np.random.default_rng(0))
    y = b.requantized(b.node("Conv", b.real(1, 2, 8, 8), b.weights(4, 2, 3, 3)), 0.3)
    batch = b.node("Gather", b.node("Shape", y), b.constant(np.int64(0)))
    ends = [b.node("Unsqueeze", batch, b.constant(np.array([0]))), b.constant(np.array([-1]))]
    b.requantized(b.node("Reshape", y, b.node("Concat", *ends, axis=0)))
    model = b.model()
    for axis in axes:
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"d{axis}"
    return model


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (3, 2, 5, 9)])
def test_given_shapes_are_those_of_the_run(shape: tuple[int, ...], tmp_path: Path) -> None:
    graph = load_graph(save(open_model(), tmp_path), shapes={"x0": shape})
    x = {"x0": np.random.default_rng(1).normal(0, 3, shape).astype(np.float32)}
    ours = run_graph(graph, x)
    session = runtime(open_model(), int8=True)
    for port, theirs in zip(graph.outputs, session.run(None, x), strict=True):
        np.testing.assert_array_equal(ours[port.tensor], theirs)


def test_an_open_batch_is_1(tmp_path: Path) -> None:
    graph = load_graph(save(open_model((0,)), tmp_path))
    assert graph.tensors[graph.outputs[-1].tensor].shape == (1, 4 * 6 * 6)


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ({}, "an unknown size on axis 2; give them all: --shape x0=.x2x.x."),
        ({"x0": (1, 3, 8, 8)}, "has shape .x2x.x. in the file, and 1x3x8x8 is given"),
        ({"x0": (1, 2, 8)}, "has shape .x2x.x. in the file, and 1x2x8 is given"),
        ({"x0": (1, 2, 8, 0)}, "and 1x2x8x0 is given"),
        ({"y": (1,)}, "a shape is given of 'y'; its graph inputs are x0"),
    ],
)
def test_shapes_that_do_not_fit(shapes: dict[str, tuple[int, ...]], told: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=told):
        load_graph(save(open_model(), tmp_path), shapes=shapes)


def test_other_files_have_no_open_sizes() -> None:
    with pytest.raises(ModelError, match="expected an .onnx file"):
        load_graph("digits_cnn", shapes={"x": (1, 8)})


def test_a_sized_path_keeps_its_shapes(tmp_path: Path) -> None:
    path = sized(save(open_model(), tmp_path), {"x0": (1, 2, 8, 8)})
    assert shapes_of(resolve_model(path)) == shapes_of(pickle.loads(pickle.dumps(path))) == {"x0": (1, 2, 8, 8)}
    assert not shapes_of(path.parent / path.name)
    assert not shapes_of(str(path))


def test_files_of_other_sizes_are_other_models(tmp_path: Path) -> None:
    plain = save(open_model(), tmp_path)
    shapes, others = {"x0": (1, 2, 8, 8)}, {"x0": (1, 2, 4, 8)}
    one = sized(plain, shapes)
    assert one == sized(plain, shapes)
    assert hash(one) == hash(sized(plain, shapes))
    assert one != sized(plain, others)
    assert one != plain
    assert plain != one
    assert one != sized(tmp_path / "another.onnx", shapes)
    assert one != str(one)
    assert sized(plain, {}) == plain


def reading() -> list[str]:
    """Commands with an argument MODEL."""
    return [name for name, each in main.commands.items() if any(p.name == "model" for p in each.params)]


@pytest.mark.parametrize("command", reading())
def test_every_command_that_reads_a_model_takes_shapes(command: str) -> None:
    options = [p for p in main.commands[command].params if isinstance(p, click.Option)]
    assert "--shape" in [name for option in options for name in option.opts]


@pytest.mark.parametrize("text", ["x0", "x0=", "=1x2", "x0=1x0", "x0=ax2", "x0=1x-2"])
def test_texts_that_are_no_shape(text: str, tmp_path: Path) -> None:
    told = error_of("import", save(open_model(), tmp_path), "--shape", text)
    assert f"--shape {text!r}: expected INPUT=SIZES" in told


def test_import_with_a_shape(tmp_path: Path) -> None:
    assert "2×84" in cli("import", save(open_model(), tmp_path), "--shape", "x0=2x2x5x9").output
