"""Put what each Python snippet of ``docs/tutorials/`` prints below it, where a ``text`` block stands there.

python docs/make_tutorials.py
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = sorted((Path(__file__).resolve().parent / "tutorials").glob("*.md"))
PRINTED = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


def printed(snippet: str) -> str:
    """What ``snippet`` prints in a process and a folder of its own."""
    command = [sys.executable, "-c", snippet]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, encoding="utf-8", timeout=300, check=True)
    return done.stdout


def current(text: str) -> str:
    """``text`` with what its snippets print now."""
    return PRINTED.sub(lambda found: f"```python\n{found[1]}```\n\n```text\n{printed(found[1])}```", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(current(page.read_text(encoding="utf-8")), encoding="utf-8")
