"""The tables of docs/energy.md are those that the code makes today."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.shared_models import SHARED

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "make_energy.py"


def test_the_page_is_up_to_date() -> None:
    if not (SHARED / "goldens").is_dir():
        pytest.skip(f"{SHARED / 'goldens'} is absent; set ACCELSIM_SHARED to the folder with the goldens")
    spec = importlib.util.spec_from_file_location("make_energy", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = script.PAGE.read_text(encoding="utf-8")
    assert script.page(text) == text
