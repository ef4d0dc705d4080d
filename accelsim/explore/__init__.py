"""Many machines at once, from the same laws as a single run: a table with a row for each, variants of one, its sensitivity, sweeps,
what would relieve each layer."""

from accelsim.explore.batch import batched
from accelsim.explore.edits import edited, is_network
from accelsim.explore.evaluate import evaluate
from accelsim.explore.float_network import FloatNetwork
from accelsim.explore.fronts import distance, front, hypervolume, knee, reference_of
from accelsim.explore.guided import SAMPLERS, Guided, guided_search
from accelsim.explore.overview import overview
from accelsim.explore.pareto import DEFAULT_OBJECTIVES, costs_of, pareto
from accelsim.explore.relief import reliefs
from accelsim.explore.sensitivity import STEP, sensitivity
from accelsim.explore.sweep import ProcessPool, Space, Swept, read_space, read_sweep, sweep
from accelsim.explore.variants import KEYS, Variant, simulate_variants, variants_of
