"""The rules of a Program for compiled loops."""

from accelsim.program._nest import ORDERS, WEIGHTS_OUTER, Nest, loads_of, nest_of
