"""The values reader: integers through the Program's buffers, or through whole layers where that is proved to be the same."""

from accelsim.execute.accumulators import AccumulatorRecord, AccumulatorReport, accumulator_report
from accelsim.execute.host_inputs import gather_inputs, input_notes, random_inputs
from accelsim.execute.im2col import Matrices
from accelsim.execute.proof import AccumulatorProof, accumulator_formats, order_free, prove, prove_graph
from accelsim.execute.steps import Product, TileStep, TileTrace, WindowSteps, window_steps
from accelsim.execute.tiled import run_program
from accelsim.execute.transfers import Transfers
from accelsim.execute.values import Values, compute_values, share_correct
from accelsim.execute.whole import WholeReader
