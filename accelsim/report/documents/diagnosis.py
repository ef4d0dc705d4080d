"""A diagnosis as a page."""

from __future__ import annotations

from accelsim.report.documents.common import picture
from accelsim.report.pictures import diagnosis_plots, svg_of
from accelsim.report.ptq import DiagnosisText, diagnosis_html

_TITLES = {
    "quantizers": "What each quantizer does to the output",
    "weights": "Ranges of the weights, the most harmful first",
    "activations": "Ranges of the activations, the most harmful first",
}


def diagnosis_document(known: DiagnosisText) -> str:
    """Tables, remedies and pictures."""
    plots = diagnosis_plots(known.found)
    return diagnosis_html(known, {_TITLES[name]: picture(svg_of(draw())) for name, draw in plots.items()})
