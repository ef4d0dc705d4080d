"""What hardware people take with them: golden vectors for any RTL, and why the numbers of theirs differ."""

from accelsim.handoff.vectors import FORMATS, FileFormat, VectorPlan, export_vectors, plan_vectors
