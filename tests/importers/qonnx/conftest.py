"""These tests build models with onnx and run what the importer makes of them; they skip, with the reason, where either is absent."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

MISSING = [name for name in ("onnx",) if find_spec(name) is None]


class _Skipped(pytest.Module):
    def collect(self) -> Any:
        pytest.skip(f"needs {' and '.join(MISSING)}: pip install 'accelsim[test]'")


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> Any:
    """A module that only says what is missing."""
    return _Skipped.from_parent(parent, path=module_path) if MISSING else None
