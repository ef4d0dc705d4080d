"""Whole pages, each one file that needs no other."""

from accelsim.report.documents.diagnosis import diagnosis_document
from accelsim.report.documents.fronts import fronts_document
from accelsim.report.documents.run import run_document
from accelsim.report.documents.sweep import sweep_document
from accelsim.report.documents.variants import sensitivity_document, variants_document
from accelsim.report.documents.verification import verification_document
