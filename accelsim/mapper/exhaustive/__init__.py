"""The search of every tiling: bounds for all of them, schedules for those whose bound is good enough."""

from accelsim.mapper.exhaustive.clock import SECONDS
from accelsim.mapper.exhaustive.layer import Found
from accelsim.mapper.exhaustive.network import Searched, search_graph, search_network
from accelsim.mapper.exhaustive.search import search_mapping
