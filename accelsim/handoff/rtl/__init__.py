"""SystemVerilog of a machine, with memory images and a bench that passes."""

from accelsim.handoff.rtl.areas import RtlPart, areas_text, rtl_areas, synthesizer
from accelsim.handoff.rtl.cut import first_layer, one_layer
from accelsim.handoff.rtl.export import RtlPlan, plan_rtl
from accelsim.handoff.rtl.folder import export_rtl
from accelsim.handoff.rtl.netlist import find_yosys
from accelsim.handoff.rtl.refuse import check_machine
