"""A float network with a quantizer at every place, each of which can be switched and set to any width without building it anew."""

from accelsim.ptq.probe.parameters import Active, Chosen
from accelsim.ptq.probe.places import Kind, QuantizerId
from accelsim.ptq.probe.probe import Probe
