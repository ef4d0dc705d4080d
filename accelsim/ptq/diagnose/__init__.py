"""Why a quantized network is worse than the float one, and what helps: Nagel's flow chart, carried out."""

from accelsim.ptq.diagnose.diagnosis import Diagnosis, FloatCheck, diagnose
from accelsim.ptq.diagnose.quantizers import QuantizerFinding, quantizer_findings
from accelsim.ptq.diagnose.ranges import ActivationRange, WeightRange, activation_ranges, weight_ranges
from accelsim.ptq.diagnose.remedies import Refused, Remedy, Tried
