# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first run
#
# One trained int8 network, one machine, one Program: bits, cycles and energy. The network is the small CNN that comes with
# accelsim, trained on scikit-learn's handwritten digits; the machine is a 16x16 weight-stationary array.

# %%
import accelsim
from accelsim.importers import resolve_model
from accelsim.simulation import read_inputs

machine = accelsim.load_arch("edge_16x16")
model = resolve_model("digits_cnn")
inputs, labels = read_inputs(model.with_name("digits_test.npz"))

simulation = accelsim.run(model, arch=machine, inputs=inputs, labels=labels, keep="all")
simulation.result

# %% [markdown]
# The accuracy is computed by the bit-exact datapath. The first image also went through the Program's own tiles and buffers, in
# the order of the timeline, and gave the same bits.

# %%
values = simulation.result.values
print(f"{values.correct} of {values.inputs} right: {values.accuracy:.2%}")
print({name: tensor.shape for name, tensor in simulation.tensors.items()})

# %% [markdown]
# ## The table as data

# %%
frame = simulation.result.to_frame()
frame[["op", "macs", "cycles", "utilization", "bound", "dram_read_bytes", "energy_pj"]]

# %% [markdown]
# ## Roofline, energy and timeline

# %%
# %matplotlib inline
from accelsim.report.pictures import plot

plot(simulation)

# %% [markdown]
# ## What if?
#
# Every number of the machine has a dotted path. A larger array helps only until something else bounds the layers.

# %%
for edits in (
    {},
    {"array.rows": 32, "array.cols": 32},
    {"dram.bandwidth_bytes_per_s": "1.6 GB/s"},
    {"array.dataflow": "output_stationary"},
):
    total = accelsim.simulate(model, arch=machine.with_(edits)).total
    print(f"{total.cycles:8,} cycles  {total.energy_pj / 1e6:6.2f} uJ  {total.utilization:6.1%}  {edits or 'as it is'}")

# %% [markdown]
# ## The Program itself
#
# Tile operations are plain arrays; here are the first ones of the network and when they run.

# %%
program, timeline = simulation.program, simulation.timeline
for i in range(8):
    print(f"{timeline.start[i]:6} .. {timeline.finish[i]:6}  {program.describe(i)}")
