"""Which weights are rounded up and which down, layer by layer, so that outputs change least (AdaRound, Nagel 2004.10568)."""

from accelsim.ptq.adaround.rounding import AdaRound, Inputs, Layer, Rounded, rounded
from accelsim.ptq.adaround.rows import by_group, from_groups, input_rows, output_places, output_rows
