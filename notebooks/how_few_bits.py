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
# # How few bits?
#
# A float network becomes integers of 2 to 8 bits, every pair of widths is executed bit by bit on the machine's own datapath, and timed and
# priced on it: accuracy, energy and latency of one and the same network, not of three models of it.

# %%
import itertools

import matplotlib.pyplot as plt
import pandas as pd

import accelsim
from accelsim.explore import pareto
from accelsim.importers import inputs_file

network, machine = "digits_float", accelsim.load_arch("edge_16x16")
inputs, labels = accelsim.read_inputs(inputs_file(network))
quantize = {"per_channel": True, "range": "mse", "bias_correction": True, "format": "qonnx"}


def evaluated(edits):
    """A row for each of ``edits``, with the accuracy over the test images."""
    table = accelsim.evaluate(network, arch=machine, edits=edits, quantize=quantize, inputs=inputs, labels=labels)
    return pd.concat([pd.DataFrame(edits), pd.DataFrame(table)], axis=1)


weights, acts = (2, 3, 4, 6, 8), (3, 4, 6, 8)
grid = evaluated([{"weights.bits": w, "activations.bits": a} for w, a in itertools.product(weights, acts)])
grid.pivot(index="weights.bits", columns="activations.bits", values="accuracy").round(3)

# %% [markdown]
# ## What the bits buy
#
# Weights cost DRAM traffic, activations cost buffers and the array's cycles where it takes them in slices. The best machine words are those
# that no other pair of widths beats in accuracy and energy.

# %%
(front,) = pareto(grid, ("energy_pj", "accuracy"), maximise=("accuracy",))
best = grid.iloc[[row["point"] for row in front.rows]]
figure, (map_, cost) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
shown = grid.pivot(index="weights.bits", columns="activations.bits", values="accuracy")
image = map_.imshow(shown, cmap="cividis", origin="lower", aspect="auto")
map_.set(xlabel="bits of activations", ylabel="bits of weights")
map_.set_xticks(range(len(acts)), acts)
map_.set_yticks(range(len(weights)), weights)
figure.colorbar(image, ax=map_, label="accuracy")
cost.scatter(grid["energy_pj"] / 1e6, 1 - grid["accuracy"], s=18, color="0.6", label="pairs of widths")
cost.plot(best["energy_pj"] / 1e6, 1 - best["accuracy"], "o-", color="#00447c", label="front")
for _, row in best.iterrows():
    cost.annotate(
        f"w{row['weights.bits']} a{row['activations.bits']}",
        (row["energy_pj"] / 1e6, 1 - row["accuracy"]),
        xytext=(4, 4),
        textcoords="offset points",
    )
cost.margins(0.1)
cost.set(xlabel="energy, uJ", ylabel="share of errors", yscale="log")
cost.legend()
plt.show()

# %% [markdown]
# ## Which layer needs its bits?
#
# Each layer alone at 2 bits, all others at 8: what it loses in accuracy, and what it saves.

# %%
layers = accelsim.explore.FloatNetwork.of(network, quantize).layers
alone = evaluated([{}, *({f"layers.{name}.weights.bits": 2} for name in layers)])
for name, row in zip(layers, alone.iloc[1:].itertuples(), strict=True):
    lost, saved = alone["accuracy"][0] - row.accuracy, 1 - row.energy_pj / alone["energy_pj"][0]
    print(f"{name:16} {lost * 100:5.1f} points of accuracy for {saved:5.1%} of the energy")

# %% [markdown]
# So the layers that do not mind go to 2 bits, all together, and the others keep 8:

# %%
lost = dict(zip(layers, alone["accuracy"][0] - alone["accuracy"][1:], strict=True))
easy = [name for name in layers if lost[name] < 0.005]
mixed = evaluated([{}, {f"layers.{name}.weights.bits": 2 for name in easy}, {"weights.bits": 2}])
for name, row in zip(("8 bits", f"2 bits for {', '.join(easy)}", "2 bits"), mixed.itertuples(), strict=True):
    print(f"{name:50} {row.accuracy:.1%}  {row.energy_pj / 1e6:.2f} uJ  {row.latency_s * 1e6:.1f} us")
