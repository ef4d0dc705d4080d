"""What hardware people take with them: golden vectors for any RTL, and why the numbers of theirs differ."""

from accelsim.handoff.compare import (
    Difference,
    Reason,
    StreamComparison,
    VectorComparison,
    compare_vectors,
    comparison_text,
)
from accelsim.handoff.vectors import FORMATS, FileFormat, VectorPlan, export_vectors, plan_vectors
