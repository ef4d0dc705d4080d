"""SystemVerilog of a machine, with memory images and a bench that passes."""

from accelsim.handoff.rtl.export import RtlPlan, plan_rtl
