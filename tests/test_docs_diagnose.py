"""The tables of docs/diagnose.md are what the commands find."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from accelsim.ptq import Settings
from accelsim.ptq.diagnose import diagnose
from accelsim.ptq.sensitivity import layer_sensitivity

DOCS = Path(__file__).parents[1] / "docs"
NEAR = 0.5
"""In dB, and in points of accuracy: what another processor's float32 may change by a rounding here and there."""


@pytest.fixture(scope="module")
def maker() -> Any:
    """The script that writes the tables."""
    sys.path.insert(0, str(DOCS))
    try:
        spec = importlib.util.spec_from_file_location("make_diagnose", DOCS / "make_diagnose.py")
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        sys.modules["make_diagnose"] = made
        spec.loader.exec_module(made)
    finally:
        sys.path.remove(str(DOCS))
    return made


def written(name: str) -> str:
    text = (DOCS / "diagnose.md").read_text(encoding="utf-8")
    return text.split(f"<!-- begin: {name} -->\n")[1].split(f"<!-- end: {name} -->\n")[0]


def near(made: str, page: str) -> None:
    """The same words, and numbers that differ by rounding."""
    number = re.compile(r"[+-]?\d+\.\d+(?= dB| \||%)")
    assert number.sub("#", made) == number.sub("#", page)
    for ours, theirs in zip(number.findall(made), number.findall(page), strict=True):
        assert abs(float(ours) - float(theirs)) <= NEAR


def test_the_table_of_sensitivities(maker: Any) -> None:
    study = maker.digits_study()
    near(maker.sensitivity(layer_sensitivity(study.probe, labels=study.labels)), written("sensitivity"))


@pytest.mark.slow
def test_the_tables_of_the_diagnosis(maker: Any) -> None:
    """Every remedy gains what the page says, whatever their order where two are alike."""
    path, data = maker.digits()
    found = diagnose(path, settings=Settings(weights=4, acts=4), **data)
    near(maker.stages(found), written("stages"))
    gains = {row.split(" | ")[0]: float(row.split(" | ")[2]) for row in written("remedies").splitlines()[2:]}
    for row in maker.remedies(found).splitlines()[2:]:
        cells = row.split(" | ")
        assert abs(float(cells[2]) - gains.pop(cells[0])) <= NEAR
    assert not gains
