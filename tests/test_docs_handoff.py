"""The tutorial's commands in their order, those that need a simulator as well, and what it says that the last one prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/handoff.md"
BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


def parts() -> tuple[str, str]:
    """The page's tutorial, and what it says of exported RTL."""
    tutorial, rtl = PAGE.read_text(encoding="utf-8").split("## RTL of this machine")
    return tutorial, rtl


def commands(text: str) -> list[str]:
    return [line.removeprefix("$ ") for _, body in BLOCK.findall(text) for line in body.splitlines()]


def test_the_tutorial_has_ten_commands() -> None:
    assert len(commands(parts()[0])) == 10


@pytest.mark.slow
@pytest.mark.oracle
def test_ten_commands_lead_to_a_bench_and_to_the_reason(tmp_path: Path) -> None:
    text, _ = parts()
    missing = [tool for tool in ("iverilog", "vvp", "make") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {' and '.join(missing)}: iverilog, verilator, make and g++ simulate the benches")
    program = tmp_path / "bin/accelsim"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m accelsim "$@"\n')
    program.chmod(0o755)
    python = program.with_name("python")
    python.symlink_to(sys.executable)
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for command in commands(text):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    (shown,) = SHOWN.findall(text)
    assert done.stdout == shown
