"""One way to make a page: skeleton with its style sheet and script, tables that sort, bars, the network as a picture."""

from accelsim.report.pages.charts import Bar, bars_html
from accelsim.report.pages.colours import Metric
from accelsim.report.pages.histograms import histogram_html
from accelsim.report.pages.network import Edge, Node, edges_of, network_html
from accelsim.report.pages.skeleton import page, section
from accelsim.report.pages.tables import Cell, html_facts, html_list, html_notes, html_table
from accelsim.report.pages.text import shown, shown_lines
