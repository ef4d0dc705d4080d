"""The default mapper for compiled loops over machines."""

from accelsim.mapper._network import Layers, Point, map_network
from accelsim.mapper._points import Points, run_points
from accelsim.mapper._settle import Exact, settle
