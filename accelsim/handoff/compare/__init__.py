"""What somebody's RTL made against the golden vectors: the first difference, and the likely reason."""

from accelsim.handoff.compare.compare import compare_vectors
from accelsim.handoff.compare.records import Difference, Reason, StreamComparison, VectorComparison
from accelsim.handoff.compare.text import comparison_text
