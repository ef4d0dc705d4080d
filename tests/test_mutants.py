"""What benchmarks/mutants.py draws, in which tests it looks first, and how a mutant takes the place of living code."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = '''
def f(a: int = 1, *, b: "1 < 2"):
    """min(a, 1) < 2"""
    if not a or b < 1:
        raise ValueError(f"{a + 1} and", "- 1")
    return g(a, -b[1:a])  # a < b
'''


@pytest.fixture
def sites(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("mutation.sites")


def test_every_mutant_of_a_small_function(sites: Any, tmp_path: Path) -> None:
    """Docstrings, annotations, comments, strings and what stands inside an f-string stay as they are."""
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    found = [(m.kind, m.lines(SOURCE.encode())[1]) for m in sites.mutants_of(path, tmp_path)]
    assert sorted(found) == [
        ("and, or", "if not a and b < 1:"),
        ("arguments", "return g(-b[1:a], a) # a < b"),
        ("comparison", "if not a or b <= 1:"),
        ("constant", 'def f(a: int = 2, *, b: "1 < 2"):'),
        ("constant", "if not a or b < 2:"),
        ("constant", "return g(a, -b[2:a]) # a < b"),
        ("guard", "if False:"),
        ("not", "if a or b < 1:"),
        ("return", "return None # a < b"),
        ("sign", "return g(a, b[1:a]) # a < b"),
        ("slice", "return g(a, -b[1:(a) + 1]) # a < b"),
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = min(a, b)", {"x = max(a, b)", "x = b"}),
        ("x = np.minimum(a, b)", {"x = np.maximum(a, b)", "x = b"}),
        ("x = a.max()", {"x = a.min()"}),
        ("x = a + b", {"x = a - b"}),
        ("x = 'a' + b", set()),
        ("x = a is not b", {"x = a is b"}),
        ("x = (a) not in (b)", {"x = (a) in (b)"}),
        ("x = isinstance(a, b)", set()),
        ("x = f(*a, b)", set()),
    ],
)
def test_operators_and_clamps(sites: Any, tmp_path: Path, source: str, expected: set[str]) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert {m.applied(source.encode()).decode() for m in sites.mutants_of(path, tmp_path)} == expected


def test_draws_are_repeated_by_their_seed_and_begin_with_shorter_ones(sites: Any) -> None:
    def draw(seed: int, count: int) -> list[Any]:
        return list(sites.drawn(ROOT / "accelsim", seed, count, "accelsim/energy"))

    drawn = draw(1, 120)
    assert drawn[:40] == draw(1, 40)
    assert drawn[:40] != draw(2, 40)
    assert len(set(drawn)) == 120
    assert len({m.kind for m in drawn[:10]}) == 10
    for mutant in drawn:
        source = (ROOT / mutant.path).read_bytes()
        assert ast.dump(ast.parse(mutant.applied(source))) != ast.dump(ast.parse(source))


def test_the_tests_of_a_folder_and_of_a_name_are_the_nearest(sites: Any) -> None:
    nearest = importlib.import_module("mutation.nearest")
    imports = nearest.Imports(ROOT)
    for module, first in {
        "accelsim.energy.table.ert": "tests.energy.test_ert",
        "accelsim.importers.tflite.lower.window": "tests.importers.test_lowering",
        "accelsim.numerics.thresholds": "tests.numerics.test_thresholds",
    }.items():
        assert first in nearest.nearest_tests(imports, module, "")[:2]
    assert "tests.execute.test_accumulator_report" in imports.distances("accelsim.report.accumulators")
    assert imports.distances("accelsim.mapper.tiling._choice")["tests.mapper.test_search"] > 1


def test_only_code_that_runs_after_the_import_is_exchanged(sites: Any) -> None:
    live = importlib.import_module("mutation.live")
    source = """
def f(a, b=1):
    g = lambda: a + b
    return g()

class C:
    x = 1 + 2

    def m(self):
        return self.x - 1
"""

    def changed(old: str, new: str) -> list[str] | None:
        pairs = live.exchanged(*(compile(text, "m.py", "exec") for text in (source, source.replace(old, new))))
        return pairs and [plain.co_qualname for plain, _ in pairs]

    assert changed("a + b", "a - b") == ["f", "f.<locals>.<lambda>"]
    assert changed("self.x - 1", "self.x + 1") == ["C.m"]
    assert changed("return g()", "\n\n    return None") == ["f"]
    assert changed("b=1", "b=2") is changed("1 + 2", "1 + 3") is None


def test_marks_tell_the_statement_that_was_reached(sites: Any) -> None:
    reach = importlib.import_module("mutation.reach")
    source = b"""
def f(a):
    '''What it does.'''
    if a < 0:
        return 0
    b = a
    for i in range(a):
        b += i
    else:
        b = g(b)
    return b
"""
    marks, names = reach.marks_of("m.py", source), {"g": abs}
    exec(reach.marked("m.py", source, "m.py", 0), names)
    reached = reach.reached_marks(len(marks))

    def of(a: int) -> list[str]:
        reached[:] = bytes(len(marks))
        names["f"](a)
        return [mark.place.removeprefix("m.py:f:") for mark, set_ in zip(marks, reached, strict=True) if set_]

    assert of(-1) == ["if a < 0:", "return 0"]
    assert of(0) == ["if a < 0:", "b = a", "b = g(b)", "return b"]
    assert of(1) == ["if a < 0:", "b = a", "b += i", "b = g(b)", "return b"]
    assert [m.place.rpartition(":f:")[2] for m in marks if "g" in m.names] == ["b = g(b)"]
    assert reach.mark_of(marks, "f", 7).place.endswith("b = a")


class _Recording:
    """A server that has seen 30 test files, each of one test, and tells which it was asked to record."""

    def __init__(self) -> None:
        self.tests = [f"tests/test_{k}.py::test_it" for k in range(30)]
        self.recorded: list[str] = []

    def record(self, tests: list[str]) -> dict[str, tuple[bool, float, list[str]]]:
        self.recorded += tests
        return {test: (True, 0.5, [test]) for test in tests}


def test_the_nearest_files_are_recorded_and_asked_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then those behind them, and what has been recorded before, which another run finds again."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    order, reach = (importlib.import_module(f"mutation.{name}") for name in ("order", "reach"))
    server, files = _Recording(), [f"tests/test_{k}.py" for k in range(30)]
    (tmp_path / "tests").mkdir()
    for file in files:
        (tmp_path / file).write_text(file)
    tests = order.Tests(tmp_path, server, reach.Reach(tmp_path / "reach"))
    tests.record(files[29:])
    first, second = tests.stages(files[:29])
    assert (*first,) == (*files[: order.NEAREST],)
    assert (*second,) == (*files[order.NEAREST : order.NEAR], files[29])
    tests.record(first)
    near = tests.ordered(first, files, {"tests/test_3.py::test_it"}, set())
    assert near == [("tests/test_3.py::test_it", 0.5)]
    assert len(tests.ordered(first, files, {"nowhere"}, set())) == order.NEAREST
    assert server.recorded == [f"{file}::test_it" for file in (files[29], *first)]
    (tmp_path / files[0]).write_text("changed")
    again = order.Tests(tmp_path, server, reach.Reach(tmp_path / "reach"))
    again.record(first)
    assert server.recorded[order.NEAREST + 1 :] == [f"{files[0]}::test_it"]


def test_a_constant_is_looked_for_under_the_name_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    reach = importlib.import_module("mutation.reach")
    source = b"A = (\n    1,\n    2,\n)\nclass B:\n    c: int = 3\n    d, e = 4, 5\nif A:\n    f = 6\n"
    found = [reach.bound_at(source, line) for line in (2, 5, 6, 7, 9)]
    assert found == [{"A"}, {"B"}, {"B", "c"}, {"B", "d", "e"}, set()]
