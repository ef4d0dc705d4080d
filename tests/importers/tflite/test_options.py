"""Every option, input and type of every accepted operator is used, or checked to be its default, or refused by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tflite.BuiltinOptions import BuiltinOptions

from accelsim.errors import AccelsimError, ModelError, UnsupportedOperatorError
from accelsim.importers import load_graph
from accelsim.importers.tflite import build
from accelsim.importers.tflite.file import read_tflite
from accelsim.importers.tflite.file.options import OPTION_FIELDS
from accelsim.importers.tflite.registry import LOWERINGS
from tests.importers.flat import TABLES, Op, T, tflite_bytes
from tests.oracles.cases import CASES
from tests.oracles.one_op import Case
from tests.oracles.runtimes import RUNTIMES, as_file, differences

VALUES: tuple[Any, ...] = (0, 1, 2, 3, 4, -1, 7, 0.5, True, False, (), (2, 60), (0,))


def accessors(table: str) -> set[str]:
    """Names of the fields of an options table in the schema."""
    kind = getattr(importlib.import_module(f"tflite.{table}"), table)
    names = {name for name in vars(kind) if name[0].isupper() and not name.startswith("GetRootAs")} - {"Init"}
    helpers = {f"{name}{end}" for name in names for end in ("AsNumpy", "Length", "IsNone")}
    return {name for name in names - helpers if not name.endswith("BufferHasIdentifier")}


@pytest.mark.parametrize("op", sorted(OPTION_FIELDS))
def test_every_field_of_the_schema_is_read(op: str) -> None:
    table, fields = OPTION_FIELDS[op]
    assert {accessor for accessor, _ in fields.values()} == accessors(table)


def test_operators_without_a_table_have_none_in_the_schema() -> None:
    tables = {name.lower() for name in vars(BuiltinOptions)}
    without = set(LOWERINGS) - set(OPTION_FIELDS)
    assert without
    assert not {f"{op.replace('_', '').lower()}options" for op in without} & tables


def changed(blob: bytes, change: Callable[[Any], None]) -> bytes:
    """The model with its first operator's record changed (by the object interface of LiteRT's schema)."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="ai-edge-litert is not installed")
    from flatbuffers.builder import Builder

    model = schema.ModelT.InitFromPackedBuf(blob, 0)
    change(model.subgraphs[0].operators[0])
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def with_option(blob: bytes, accessor: str, value: Any) -> bytes:
    def change(operator: Any) -> None:
        setattr(operator.builtinOptions, accessor[0].lower() + accessor[1:], value)

    return changed(blob, change)


def fitting(default: Any) -> Iterator[Any]:
    """Values that a field with this ``default`` may take."""
    for value in VALUES:
        alike = isinstance(value, tuple) == isinstance(default, tuple) and isinstance(value, bool) == isinstance(
            default, bool
        )
        if alike and (isinstance(default, float) or not isinstance(value, float)):
            yield list(value) if isinstance(value, tuple) else value


def cases() -> Iterator[tuple[str, str, Case, str]]:
    """Name, type, model and operator of each case."""
    for name, make in CASES.items():
        for kind in ("INT8", "INT16"):
            case = make(np.random.default_rng(3), kind)
            with as_file(case.blob) as path:
                yield name, kind, case, read_tflite(path).operators[0].op


FLIPPED = [
    pytest.param(case, op, field, id=f"{name}-{kind}-{field}")
    for name, kind, case, op in cases()
    for field in OPTION_FIELDS.get(op, ("", {}))[1]
]


@pytest.mark.oracle
@pytest.mark.parametrize(("case", "op", "field"), FLIPPED)
def test_whatever_an_option_says_is_as_the_runtimes_take_it_or_refused(case: Case, op: str, field: str) -> None:
    accessor, default = OPTION_FIELDS[op][1][field]
    feeds, compared = list(case.feeds(np.random.default_rng(1), 1)), 0
    for value in fitting(default):
        with as_file(with_option(case.blob, accessor, value)) as path:
            for arithmetic in RUNTIMES:
                try:
                    load_graph(path, arithmetic=arithmetic)
                except ModelError:
                    continue
                try:
                    found = differences(path, arithmetic, feeds)
                except (RuntimeError, ValueError):  # the runtime refuses it
                    continue
                assert set(found.values()) == {0}, f"{accessor} {value} of {op}, {arithmetic}: {found}"
                compared += 1
    if not compared:
        pytest.skip(f"every value of {accessor} is refused, by the reader or by the runtimes")


def chain(op: Op, *constants: T) -> bytes:
    """One operator from x to y."""
    tensors = [T("x", (1, 4), scale=0.5), T("y", (1, 4), scale=0.5), *constants]
    return tflite_bytes(tensors, [op], ["x"], ["y"])


def refusal(blob: bytes) -> str:
    with as_file(blob) as path, pytest.raises(UnsupportedOperatorError) as caught:
        load_graph(path)
    return str(caught.value)


def test_an_input_that_nothing_reads_is_refused() -> None:
    extra = T("extra", (1,), scale=0.5, data=[1])
    assert "nothing reads its inputs [1]; accepted: 1 inputs" in refusal(
        chain(Op("RELU", ["x", "extra"], ["y"]), extra)
    )


def test_options_of_another_operator_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLES, "LEAKY_RELU", "AddOptions")
    assert "its options are AddOptions; accepted: LeakyReluOptions" in refusal(chain(Op("LEAKY_RELU", ["x"], ["y"])))


def test_an_option_that_a_later_schema_added_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = chain(Op("LEAKY_RELU", ["x"], ["y"], {"Alpha": 0.25}))
    assert refused_or_graph(blob) == "graph"
    monkeypatch.setattr(
        sys.modules["tflite.LeakyReluOptions"], "LeakyReluOptionsStart", lambda builder: builder.StartObject(0)
    )
    assert "a field that was added to the schema later" in refusal(blob)


def test_an_option_that_no_lowering_looks_at_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes the next lowering cannot forget an option: the guard stands around all of them."""
    rule = LOWERINGS["LEAKY_RELU"]

    def forgetful(node: Any) -> Any:
        made = rule.function(node)
        node.options_seen.clear()
        return made

    monkeypatch.setattr(build, "LOWERINGS", {**LOWERINGS, "LEAKY_RELU": replace(rule, function=forgetful)})
    assert "its alpha is 0.25; accepted: alpha 0.0" in refusal(chain(Op("LEAKY_RELU", ["x"], ["y"], {"Alpha": 0.25})))


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("mutatingVariableInputs", [True], "it writes to its inputs"),
        ("intermediates", [0], "it has intermediate tensors"),
    ],
)
def test_fields_of_the_record_itself(field: str, value: list[Any], text: str) -> None:
    blob = changed(chain(Op("RELU", ["x"], ["y"])), lambda operator: setattr(operator, field, value))
    assert text in refusal(blob)


def refused_or_graph(blob: bytes) -> str:
    with as_file(blob) as path:
        try:
            load_graph(path)
        except AccelsimError as error:
            return str(error)
    return "graph"
