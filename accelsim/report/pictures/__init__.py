"""Results as pictures."""

from accelsim.report.pictures.plot import plot_format, write_plot
from accelsim.report.pictures.verification_plot import write_verification_plot

__all__ = [
    "plot_format",
    "write_plot",
    "write_verification_plot",
]
