"""CSV, npz and comparison."""

from __future__ import annotations

import csv
import io
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.errors import AccelsimError
from accelsim.report import compare
from accelsim.report.comparison import TITLES
from accelsim.report.files.csv_file import write_csv
from accelsim.report.files.tensors import write_tensors
from accelsim.result import Result
from accelsim.simulation import Simulation, simulate

from .networks import separable_network


def csv_rows(result: Result) -> list[dict[str, str]]:
    text = io.StringIO(newline="")
    write_csv(result, text)
    return list(csv.DictReader(io.StringIO(text.getvalue())))


def test_csv_has_one_row_per_layer_with_every_figure(small: Simulation) -> None:
    rows = csv_rows(small.result)
    assert [row["name"] for row in rows] == [layer.name for layer in small.graph.layers]
    for row, layer in zip(rows, small.result.layers, strict=True):
        assert int(row["macs"]) == layer.macs
        assert int(row["cycles"]) == layer.cycles
        assert float(row["energy_pj"]) == layer.energy_pj
        assert float(row["energy_split_pj.dram"]) == layer.energy_split_pj["dram"]
        assert row["output_shape"] == "x".join(map(str, layer.output_shape))
        assert row["utilization"] == ("" if layer.utilization is None else str(layer.utilization))


def test_csv_quotes_names(result: Result) -> None:
    layer = result.layers[0].model_copy(update={"name": 'a,"b"\nc'})
    assert csv_rows(result.model_copy(update={"layers": (layer,)}))[0]["name"] == 'a,"b"\nc'


def test_csv_of_no_layers_is_empty(result: Result) -> None:
    assert csv_rows(result.model_copy(update={"layers": ()})) == []


def test_tensors_come_back_under_their_names() -> None:
    tensors = {
        "file": np.arange(6, dtype=np.int8).reshape(2, 3),
        "a/b;c#7": np.array(5, dtype=np.int32),
        "x.npy": np.zeros((0, 2), np.float32),
    }
    stream = io.BytesIO()
    write_tensors(tensors, stream)
    with np.load(io.BytesIO(stream.getvalue()), allow_pickle=False) as archive:
        assert archive["file"].dtype == np.int8
        for name in ("file", "a/b;c#7"):
            np.testing.assert_array_equal(archive[name], tensors[name])
        assert len(archive.files) == 3


def test_equal_tensors_make_equal_files() -> None:
    def content() -> bytes:
        stream = io.BytesIO()
        write_tensors({"x": np.arange(4)}, stream)
        return stream.getvalue()

    assert content() == content()


def test_compare_is_relative_to_the_first(small: Simulation) -> None:
    narrow = simulate(separable_network(1), arch=small.arch.with_({"array.cols": 4}))
    comparison = compare([small.result, narrow])
    first, second = comparison.cells()
    assert len(first) == len(TITLES)
    assert first[3] == first[8] == "1.00"
    assert second[3] == f"{narrow.total.cycles / small.result.total.cycles:.2f}"
    assert [row["cycles"] for row in comparison.rows()] == [small.result.total.cycles, narrow.total.cycles]
    assert small.arch.name in repr(comparison)
    assert comparison._repr_html_().count("<tr>") == 3


def test_compare_of_nothing_is_an_error() -> None:
    with pytest.raises(AccelsimError, match="at least one Result"):
        compare([])


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\n=1", "=cmd|'/c calc'!A1"])
def test_csv_holds_no_formula(result: Result, name: str) -> None:
    layer = result.layers[0].model_copy(update={"name": name})
    assert csv_rows(result.model_copy(update={"layers": (layer,)}))[0]["name"] == f"'{name}"


def test_csv_leaves_negative_numbers_and_other_names_alone(result: Result) -> None:
    for row, layer in zip(csv_rows(result), result.rows(), strict=True):
        assert row["name"] == layer["name"]
        assert not any(cell.startswith("'") for cell in row.values())


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(max_codepoint=0x2100), min_size=1))
def test_csv_and_text_hold_no_control_character(result: Result, name: str) -> None:
    layer = result.layers[0].model_copy(update={"name": name})
    made = result.model_copy(update={"layers": (layer,), "model": name})
    stream = io.StringIO()
    write_csv(made, stream)
    for text in (stream.getvalue(), str(made)):
        assert not any(unicodedata.category(c) == "Cc" or 0x202A <= ord(c) <= 0x202E for c in text if c != "\n")
