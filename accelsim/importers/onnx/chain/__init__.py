"""Float32 operators between integer sums or codes and the quantizer after them, folded into one layer."""

from accelsim.importers.onnx.chain.bases import (
    MAX_TABLE_BITS,
    IntegerSums,
    OneTensor,
    Sums,
    TwoTensors,
    name_near_ties,
    per_channel,
)
from accelsim.importers.onnx.chain.chained import Chained, Final, chain
from accelsim.importers.onnx.chain.means import mean_chain
from accelsim.importers.onnx.chain.quantizer import ROUNDINGS, Quantizer
