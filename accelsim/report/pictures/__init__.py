"""Results as pictures."""

from accelsim.report.pictures.figure import plot, plot_format, write_plot
from accelsim.report.pictures.verification import verification_plot, write_verification_plot
