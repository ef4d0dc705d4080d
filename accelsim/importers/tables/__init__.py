"""Layer tables in CSV, of our own columns or SCALE-Sim's: shapes without values."""
