"""What a checkout holds: files of a size that people wrote, or that a command of ours makes."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("accelsim", "arch_configs", "benchmarks", "docs", "notebooks", "tests", "workloads")
MOST = 2**20
"""Bytes of a file; the largest has a sixth of that."""


def test_no_file_is_a_heap_of_bytes() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    sizes = {path: path.stat().st_size for path in files if path.is_file()}
    assert len(sizes) > 500
    assert [str(path.relative_to(ROOT)) for path, size in sizes.items() if size > MOST] == []
