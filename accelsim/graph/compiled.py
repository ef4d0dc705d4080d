"""The window rule as compiled code calls it."""

from accelsim.graph._window import input_row, rows_under

__all__ = ["input_row", "rows_under"]
