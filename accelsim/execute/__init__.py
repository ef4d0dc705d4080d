"""The values reader: integers through the Program's buffers, or through whole layers where that is proved to be the same."""

from accelsim.execute.proof import AccumulatorProof, accumulator_formats, prove, prove_graph
from accelsim.execute.tiled import run_program
from accelsim.execute.whole import WholeReader

__all__ = ["AccumulatorProof", "WholeReader", "accumulator_formats", "prove", "prove_graph", "run_program"]
