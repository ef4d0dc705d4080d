"""Finding a model, choosing its importer, and saying what is supported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from accelsim.errors import ModelError, ModelFileError
from accelsim.importers import load_graph, packaged_models, resolve_model, supported_operators
from accelsim.importers.tflite.fold import FOLDS
from accelsim.importers.tflite.registry import LOWERINGS
from accelsim.importers.tflite.variables import VARIABLES
from tests.importers.flat import CODES


def test_the_packaged_network_by_name() -> None:
    path = resolve_model("digits_cnn")
    assert path.name == "digits_cnn_int8.tflite"
    graph = load_graph(path)
    assert (graph.name, graph.arithmetic) == ("digits_cnn_int8", "tflite-micro")
    assert graph.macs == 198976
    assert resolve_model("digits_cnn_int16x8").name == "digits_cnn_int16x8.tflite"


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "resnet50"
    path.touch()
    assert resolve_model(path) == path


def test_an_unknown_name_lists_the_packaged_ones_and_the_nearest() -> None:
    with pytest.raises(ModelFileError, match=r"no such file.*packaged are .*resnet50.*did you mean 'resnet50'"):
        resolve_model("resnet_50")


def test_an_impossible_name() -> None:
    with pytest.raises(ModelFileError):
        resolve_model("a\0b")


def test_packaged_models_exist() -> None:
    assert {"resnet50", "digits_cnn", "digits_cnn_int8"} <= set(packaged_models())
    assert all(path.is_file() for path in packaged_models().values())


@pytest.mark.parametrize("name", ["model.pb", "model", "model.tflite.bak"])
def test_unknown_extensions_list_what_is_accepted(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"expected a file that ends in .*\.tflite"):
        load_graph(tmp_path / name)


def test_extensions_do_not_depend_on_case(tmp_path: Path) -> None:
    path = tmp_path / "NET.TFLITE"
    path.write_bytes(resolve_model("digits_cnn").read_bytes())
    assert len(load_graph(path).layers) == 9


def test_supported_operators_come_from_the_lowerings() -> None:
    rows = [row for row in supported_operators() if row.source == ".tflite"]
    names = [row.operator for row in rows]
    assert set(names) == {*LOWERINGS, *FOLDS, *VARIABLES, "DEQUANTIZE"}
    assert len(names) == len(set(names))
    assert all(row.operator in CODES and row.formats and row.layer for row in rows)
    by_name = {row.operator: row for row in rows}
    assert by_name["CONV_2D"].layer == "Conv2D"
    assert by_name["LOGISTIC"].layer == "Lut or InterpolatedLut"


def test_table_operations_are_listed_too() -> None:
    rows = {row.operator: row for row in supported_operators() if row.source == ".csv"}
    assert rows["matmul"].layer == "MatMul"
    assert len(rows) == 12


def test_the_file_formats_library_is_imported_only_for_a_file() -> None:
    program = (
        "import sys; from accelsim.importers import supported_operators; supported_operators(); "
        "print([name for name in sys.modules if name.split('.')[0] in ('tflite', 'flatbuffers', 'numba')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
