"""Sets of points that are best in several objectives at once: plain arrays, compiled loops."""

from accelsim.explore.fronts.measures import Costs, Rows, checked, distance, front, hypervolume, knee, reference_of
