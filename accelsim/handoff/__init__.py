"""What hardware people take with them: golden vectors for any RTL, why the numbers of theirs differ, and RTL of the machine."""

from accelsim.handoff.compare import (
    Difference,
    Reason,
    StreamComparison,
    VectorComparison,
    compare_vectors,
    comparison_text,
)
from accelsim.handoff.rtl import (
    RtlPart,
    RtlPlan,
    areas_text,
    check_machine,
    export_rtl,
    find_yosys,
    first_layer,
    one_layer,
    plan_rtl,
    rtl_areas,
    synthesizer,
)
from accelsim.handoff.vectors import FORMATS, FileFormat, VectorPlan, export_vectors, plan_vectors
