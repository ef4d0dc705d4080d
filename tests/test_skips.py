"""The line at the end of the suite that says why tests were skipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.skips import explanation

ROOT = Path(__file__).resolve().parent.parent


def test_reasons_of_one_remedy_are_counted_together() -> None:
    reasons = ["Skipped: ACCELSIM_TOSA_PYTHON names no python with tosa-tools", "ACCELSIM_QONNX_PYTHON names no python with qonnx",
               "verilator, make and g++ simulate the RTL", "the moon is full"]  # fmt: skip
    assert explanation(reasons) == (
        "4 skipped: 2 need oracles with environments of their own (.ci/oracles makes them), 1 need verilator, make and g++, "
        "1 because the moon is full"
    )


def test_pytest_ends_with_it_whoever_ran_the_tests(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary\n", encoding="utf-8")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('n', [1, 2])\ndef test(n):\n    pytest.skip('the moon is full')\n",
        encoding="utf-8",
    )
    options = ["-q", "-n", "2", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-2] == "2 skipped: 2 because the moon is full", done.stdout + done.stderr
