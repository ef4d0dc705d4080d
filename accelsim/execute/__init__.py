"""The values reader: integers through the Program's buffers, or through whole layers where that is proved to be the same."""

from accelsim.execute.accumulators import AccumulatorRecord, AccumulatorReport, accumulator_report
from accelsim.execute.proof import AccumulatorProof, accumulator_formats, prove, prove_graph
from accelsim.execute.tiled import run_program
from accelsim.execute.whole import WholeReader

__all__ = [
    "AccumulatorProof",
    "AccumulatorRecord",
    "AccumulatorReport",
    "WholeReader",
    "accumulator_formats",
    "accumulator_report",
    "prove",
    "prove_graph",
    "run_program",
]
