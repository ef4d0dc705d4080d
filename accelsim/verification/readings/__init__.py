"""Readings of a layer: in floating point, by exact multipliers, in the machine's integers."""
