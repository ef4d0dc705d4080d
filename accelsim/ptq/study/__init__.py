"""A float network over some inputs, and what quantizing it does to its output."""

from accelsim.ptq.study.effect import Effect, Reference, check_finite_outputs, decibels_of, sqnr_db
from accelsim.ptq.study.study import Study, study_of
