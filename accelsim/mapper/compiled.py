"""The default mapper for compiled loops over machines."""

from accelsim.mapper._points import Layers, Points, run_points
