"""How much each layer minds fewer bits, and the fewest layers to keep at more."""

from accelsim.ptq.sensitivity.layers import FIELDS, KINDS, LayerKind, LayerSensitivity, layer_sensitivity, layers_of
from accelsim.ptq.sensitivity.loss import LossLimit, parse_loss
from accelsim.ptq.sensitivity.partial import PartialQuantization, file_outputs, joined_outputs, partial_quantization
