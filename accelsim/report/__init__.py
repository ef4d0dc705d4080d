"""Results for people and other programs: terminal table, comparison, CSV, Chrome trace, picture."""

from accelsim.report.accumulators import NATURAL_WIDTH, accumulator_table
from accelsim.report.activity import activity_page
from accelsim.report.cells import left_out, made_with
from accelsim.report.compare import Comparison, compare
from accelsim.report.energy import Page, energy_pages, list_rows, table_page
from accelsim.report.energy_cells import energy_facts
from accelsim.report.html import summary_html
from accelsim.report.imported import import_table, import_width
from accelsim.report.mappings import found_table
from accelsim.report.quantized import quantized_table
from accelsim.report.table import comparison_table, fact_table, list_table, natural_width, result_table
from accelsim.report.text import summary_text
from accelsim.report.verification_page import document, report_html
from accelsim.report.verification_text import report_text

__all__ = [
    "NATURAL_WIDTH",
    "Comparison",
    "Page",
    "accumulator_table",
    "activity_page",
    "compare",
    "comparison_table",
    "document",
    "energy_facts",
    "energy_pages",
    "fact_table",
    "found_table",
    "import_table",
    "import_width",
    "left_out",
    "list_rows",
    "list_table",
    "made_with",
    "natural_width",
    "quantized_table",
    "report_html",
    "report_text",
    "result_table",
    "summary_html",
    "summary_text",
    "table_page",
]
