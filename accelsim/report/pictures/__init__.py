"""Results as pictures."""

from accelsim.report.pictures.figure import plot, plot_format, write_plot
from accelsim.report.pictures.verification import verification_plot, write_verification_plot

__all__ = [
    "plot",
    "plot_format",
    "verification_plot",
    "write_plot",
    "write_verification_plot",
]
