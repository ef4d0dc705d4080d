"""Run every command that README.md and the pages of docs/ (or ``--pages``) print, in an empty folder outside the checkout.

Fenced blocks marked ``console`` hold shell commands after ``$ ``, those with ``<<'EOF'`` up to that line; blocks marked ``python`` are run
as scripts. The installation commands themselves (``pip install .``) are left to the caller, who has installed the wheel.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = re.compile(r"^\$ ([^\n]*<<'EOF'\n(?:.*\n)*?EOF$|.*$)", re.MULTILINE)
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSTALL = re.compile(r"^pip install \S+ && ")
LEFT_TO_CALLER = re.compile(r"^(pip install|pytest|git |cd |python -m venv|\. )")


def commands(text: str) -> list[list[str]]:
    """Argument lists, in the order of the text."""
    found: list[list[str]] = []
    for kind, body in BLOCK.findall(text):
        if kind == "python":
            found.append([sys.executable, "-c", body])
            continue
        for line in COMMAND.findall(body):
            command = INSTALL.sub("", line)
            if not LEFT_TO_CALLER.match(command):
                found.append(["bash", "-euo", "pipefail", "-c", command])
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workdir", type=Path, required=True)
    every = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    parser.add_argument("--pages", type=Path, nargs="+", default=every, help="by their paths in the checkout")
    options = parser.parse_args()
    folder = options.workdir
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    total = 0
    for page in (ROOT / page for page in options.pages):
        for command in commands(page.read_text(encoding="utf-8")):
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
            total += 1
            if done.returncode != 0:
                print(f"{page.relative_to(ROOT)}: exit {done.returncode}: {command[-1]}\n{done.stdout}\n{done.stderr}")
                return 1
            print(f"{page.relative_to(ROOT)}: ok: {command[-1].strip().splitlines()[0]}")
    print(f"{total} documented commands ran")
    return 0 if total else 1


if __name__ == "__main__":
    sys.exit(main())
