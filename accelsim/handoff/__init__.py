"""What hardware people take with them."""

from accelsim.handoff.rtl import RtlPlan, plan_rtl
