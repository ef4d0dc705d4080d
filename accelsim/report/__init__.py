"""Results for people and other programs: terminal table, comparison, CSV, Chrome trace, picture."""

from accelsim.report.compare import Comparison, compare

__all__ = ["Comparison", "compare"]
