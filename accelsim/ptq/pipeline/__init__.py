"""The papers' pipelines: a float network to the integers that follow it best, step by step, and what each step gains."""

from accelsim.ptq.adaround import AdaRound, Inputs
from accelsim.ptq.pipeline.choices import Choices, Piped, Row, choices_for, settings_for
from accelsim.ptq.pipeline.draft import Score
from accelsim.ptq.pipeline.prepared import Prepared, prepare
from accelsim.ptq.pipeline.recipes import PIPELINES, Pipeline, pipeline
from accelsim.ptq.pipeline.run import run_pipeline
from accelsim.ptq.pipeline.steps import STEPS, Step
