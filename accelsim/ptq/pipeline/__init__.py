"""The papers' pipelines: a float network to the integers that follow it best, step by step, and what each step gains."""

from accelsim.ptq.adaround import AdaRound
from accelsim.ptq.pipeline.choices import Choices, Piped, Row
from accelsim.ptq.pipeline.draft import Score
from accelsim.ptq.pipeline.recipes import PIPELINES, Pipeline, pipeline
from accelsim.ptq.pipeline.run import run_pipeline
from accelsim.ptq.pipeline.steps import STEPS, Step
