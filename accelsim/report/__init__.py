"""Results for people and other programs: terminal table, comparison, CSV, Chrome trace, picture."""

from accelsim.report.accumulators import NATURAL_WIDTH, accumulator_table
from accelsim.report.activity import activity_page
from accelsim.report.comparison import Comparison, compare, comparison_table
from accelsim.report.energy import Page, energy_pages, list_rows, table_notes, table_page
from accelsim.report.fronts import front_rows, front_table, front_width
from accelsim.report.imported import import_table, import_width
from accelsim.report.mappings import found_table
from accelsim.report.numbers import figure
from accelsim.report.quantized import calibrations_table, quantized_table, steps_table
from accelsim.report.result.cells import closing, tiles_by
from accelsim.report.result.energy import energy_facts
from accelsim.report.result.html import summary_html
from accelsim.report.result.table import natural_width, result_table
from accelsim.report.result.text import summary_text
from accelsim.report.terminal import fact_table, list_table
from accelsim.report.verification.page import report_html
from accelsim.report.verification.text import cause_text, report_text
from accelsim.report.whatif import (
    THRESHOLD,
    Variants,
    checked_threshold,
    sensitivity_html,
    sensitivity_table,
    sensitivity_text,
    variants_table,
)
