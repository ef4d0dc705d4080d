"""Results as pictures."""

from accelsim.report.pictures.figure import plot, plot_format, svg_of, write_figure, write_plot
from accelsim.report.pictures.fronts import fronts_plot
from accelsim.report.pictures.ranges import diagnosis_plots
from accelsim.report.pictures.tornado import tornado
from accelsim.report.pictures.variants import variants_plot
from accelsim.report.pictures.verification import verification_plot, write_verification_plot
