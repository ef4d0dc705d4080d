"""Many machines at once: a table with a row for each, from the same laws as a single run."""

from accelsim.explore.evaluate import evaluate
