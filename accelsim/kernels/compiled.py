"""The loops that play a network from a tape, and the columns of its records."""

from accelsim.kernels import _products as products
from accelsim.kernels import _tape as tape
from accelsim.kernels._products import Scratch
from accelsim.kernels._tape import Constants, frame_of, play
