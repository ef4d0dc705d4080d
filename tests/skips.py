"""Why tests were skipped, in one line: reasons that one remedy answers are counted together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

KINDS: Mapping[str, str] = {
    r"_PYTHON names no": "need oracles with environments of their own (.ci/oracles makes them)",
    r"chromium": "need a browser, chromium, to open pages in",
    r"verilator|g\+\+": "need verilator, make and g++",
    r"ACCELSIM_SHARED": "need the shared goldens and models (set ACCELSIM_SHARED)",
    r"could not import|not installed|pip install|scikit-learn has|scikit-learn reads": "need packages (pip install '.[test]')",
    r"LLVM before|installed onnx": "need a newer numba or onnx",
    r"has no|nothing to compare": "compare with a runtime that lacks the operator or type",
    r"root may": "need a user other than root",
}
"""What a reason says (a regular expression, the first that is found) and the sentence that explains all of its kind."""


def explanation(reasons: Iterable[str]) -> str:
    """``N skipped: N for one kind of reason, N for another``, the most frequent first; a reason of no kind stands for itself."""
    counts = Counter(_kind(reason.removeprefix("Skipped: ")) for reason in reasons)
    return f"{counts.total()} skipped: " + ", ".join(f"{number} {kind}" for kind, number in counts.most_common())


def _kind(reason: str) -> str:
    return next((kind for pattern, kind in KINDS.items() if re.search(pattern, reason)), f"because {reason}")
