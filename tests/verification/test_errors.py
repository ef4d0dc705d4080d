"""What cannot be verified is said in one line, by the library and by the command, with exit code 2 and nothing written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import accelsim
from accelsim.cli import main
from accelsim.errors import AccelsimError, ConfigError, GraphError, InputError
from tests.importers.onnx.models import Net
from tests.importers.onnx.runtime import save
from tests.verification.networks import chain, digits, images


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in ("verify", *arguments)])


def verify(inputs: Any, **options: Any) -> None:
    accelsim.verify("digits_cnn", arch="edge_16x16", inputs=inputs, **options)


def test_labels_without_inputs() -> None:
    with pytest.raises(InputError, match="labels without inputs"):
        verify(None, labels=np.zeros(64, np.int64))


def test_wrong_shape() -> None:
    with pytest.raises(InputError, match=r"expected shape \(1, 8, 8, 1\)"):
        verify(np.zeros((1, 9, 8, 1), np.int8))


def test_wrong_type() -> None:
    with pytest.raises(InputError, match="expected int8 codes, got bool"):
        verify(np.zeros((1, 8, 8, 1), np.bool_))


def test_integers_out_of_range() -> None:
    x = np.zeros((1, 8, 8, 1), np.int32)
    x[0, 0, 0, 0] = 200
    with pytest.raises(InputError, match=r"values 0..200 leave int8"):
        verify(x)


def test_not_a_number(tmp_path: Path) -> None:
    from tests.importers.onnx.networks import cnn
    from tests.importers.onnx.runtime import save

    net = cnn(1)
    path, feed = save(net.model(), tmp_path), net.random_feeds()[0]
    name = next(iter(feed))
    assert feed[name].dtype == np.float32
    feed[name].reshape(-1)[3] = np.nan
    with pytest.raises(AccelsimError, match="(?i)nan|finite"):
        accelsim.verify(path, arch="edge_16x16", inputs=feed, arithmetic="onnxruntime")


def test_no_inferences() -> None:
    with pytest.raises(InputError):
        verify(np.zeros((0, 8, 8, 1), np.int8))


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="labels: expected 2 integers"):
        verify(images(2)[0], labels=np.zeros(3, np.int64))


def test_unknown_oracle_lists_all() -> None:
    with pytest.raises(ConfigError, match="expected one of litert-ref, .*fake-quant"):
        verify(images(1)[0], oracle="tensorflow")


@pytest.mark.parametrize(
    ("oracle", "module"),
    [
        ("litert-ref", "ai_edge_litert.interpreter"),
        ("tflite-micro", "tflite_micro.python.tflite_micro.runtime"),
    ],
)
def test_missing_package_names_what_to_install(oracle: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(AccelsimError, match=r"not installed.*pip install 'accelsim\[oracles\]'"):
        verify(images(1)[0], oracle=oracle)
    done = cli("digits_cnn", "--arch", "edge_16x16", "--oracle", oracle)
    assert done.exit_code == 2
    assert done.stderr.count("accelsim: error:") == 1
    assert "Traceback" not in done.output


def test_oracle_of_another_format(tmp_path: Path) -> None:
    with pytest.raises(AccelsimError, match=r"reads \.onnx files"):
        verify(images(1)[0], oracle="onnxruntime")


def test_graph_without_a_file_for_a_runtime() -> None:
    graph = chain(("tflite_double",), scale=0.01, rows=2)
    with pytest.raises(ConfigError, match="reads a model file, not a Graph"):
        accelsim.verify(graph, arch="edge_16x16", inputs=np.zeros((1, 1, 2, 1, 32), np.int8), oracle="litert-ref")


def test_networks_without_a_layer_in_common() -> None:
    graph = chain(("tflite_double",), scale=0.01, rows=2)
    with pytest.raises(GraphError, match="no layer in common"):
        accelsim.verify(
            graph, arch="edge_16x16", inputs=np.zeros((1, 1, 2, 1, 32), np.int8), arithmetic="tflite-micro",
            reference=digits(),
        )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("resnet50", "--arch", "edge_16x16"),
        ("digits_cnn", "--arch", "no_such_machine"),
        ("digits_cnn", "--arch", "edge_16x16", "--tolerance", "close"),
        ("digits_cnn", "--arch", "edge_16x16", "--oracle", "nobody"),
        ("digits_cnn", "--arch", "edge_16x16", "--count", "0"),
        ("digits_cnn", "--arch", "edge_16x16", "--inputs", "absent.npz"),
        ("digits_cnn", "--arch", "edge_16x16", "--plot", "picture.bmp"),
        ("digits_cnn", "--arch", "edge_16x16", "--set", "accumulator.bits=16", "--set", "accumulator.overflow=trap"),
    ],
)
def test_command_that_cannot_run(arguments: tuple[str, ...], tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    done = cli(*arguments, "--json", target)
    assert done.exit_code == 2
    assert done.stderr.strip().splitlines()[-1].startswith("accelsim: error:")
    assert "Traceback" not in done.output
    assert not target.exists()


@pytest.mark.parametrize(("op", "attributes"), [("Softplus", {}), ("Elu", {"alpha": 0.3})])
def test_layers_without_a_floating_point_reading_are_not_called_a_match(
    tmp_path: Path, op: str, attributes: dict[str, float]
) -> None:
    """A table of a function that the reading does not know: the machine would be compared with itself."""
    net = Net(np.random.default_rng(0), qdq=True)
    net.unary(op, net.input((1, 16)), **attributes)
    feed = tmp_path / "feed.npz"
    np.savez(feed, **net.random_feeds()[0])
    path = save(net.model(), tmp_path)
    done = cli(path, "--arch", "edge_16x16", "--arithmetic", "onnxruntime", "--inputs", feed)
    assert done.exit_code == 2
    assert "could not be compared" in done.stderr
    assert "INCOMPLETE" in done.stdout
