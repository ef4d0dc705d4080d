"""One run beside another: ratios, what moved layer by layer, and what a small change of each knob would do."""

from accelsim.report.whatif.cells import dram_bytes, points
from accelsim.report.whatif.knobs import (
    TITLES,
    remark,
    sensitivity_html,
    sensitivity_table,
    sensitivity_text,
    shown_figures,
    steps,
)
from accelsim.report.whatif.moves import Move
from accelsim.report.whatif.ratios import energy_ratio, energy_ratio_text, mapped_note, ratio_text
from accelsim.report.whatif.record import THRESHOLD, Variants, checked_threshold, moved_html, totals_html
from accelsim.report.whatif.table import variants_table
