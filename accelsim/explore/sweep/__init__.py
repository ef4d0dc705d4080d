"""Sweeps: the points of a space, computed anywhere, kept in a folder that survives whatever ends them."""

from accelsim.explore.sweep.pool import ProcessPool
from accelsim.explore.sweep.read import read_sweep
from accelsim.explore.sweep.run import Swept, sweep
from accelsim.explore.sweep.space import Space, read_space
