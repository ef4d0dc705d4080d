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
# # A design space and its front
#
# Which arrays, buffers and widths of weights are worth building for MobileNetV2 below 1.2 mm²? A sweep maps and schedules the network on
# every machine of a space and keeps the rows in a folder; the front are those that no other beats in everything.

# %%
import accelsim

space = {
    "workloads": ["mobilenet_v2"],
    "arch": "edge_16x16",
    "axes": {
        "array.rows": [8, 16, 24, 32],
        "array.cols": [8, 16, 24, 32],
        "activation_buffer.size_bytes": ["32 KiB", "64 KiB", "128 KiB"],
        "dram.bandwidth_bytes_per_s": ["1.6 GB/s", "3.2 GB/s", "6.4 GB/s"],
        "weights.bits": [4, 8],
    },
    "constraints": ["array.rows * array.cols <= 768", "area_um2 < 1.2e6"],
}
done = accelsim.sweep(space, out="design_space")
print(f"{done.points} points, {done.rows} of them evaluated: {done.feasible} feasible, {done.failed} failed")

# %% [markdown]
# ## What each axis does
#
# The share of a figure's variance that an axis explains alone, among all machines that were evaluated.

# %%
from accelsim.explore import overview

table = accelsim.read_sweep("design_space")
(seen,) = overview(table).workloads
for effect in seen.effects:
    shares = ", ".join(
        f"{name} {0 if share is None else share:.0%}"
        for name, share in zip(seen.objectives, effect.shares, strict=True)
    )
    print(f"{effect.axis:30} {shares}")

# %% [markdown]
# Time is decided by the rows of the array, then by the bandwidth; energy by the rows too (more of them add more products before a sum is
# written), then by the width of the weights, because DRAM has most of it; area by the activation buffer, then by the array.
#
# ## The front
#
# In latency, energy and area together. Each row knows the command that runs it again.

# %%
from accelsim.explore import pareto

objectives = ("latency_s", "energy_pj", "area_um2")
(front,) = pareto(table, objectives)
print(f"{len(front.rows)} of {done.feasible} feasible machines are on the front; it fills {front.share:.0%} of its box")
for row in front.rows[:: max(1, len(front.rows) // 8)]:
    print(
        f"{row['array.rows']} x {row['array.cols']}, {row['activation_buffer.size_bytes'] // 1024} KiB, "
        f"{row['dram.bandwidth_bytes_per_s'] / 1e9:g} GB/s, {row['weights.bits']} bits: "
        f"{row['latency_s'] * 1e3:.2f} ms, {row['energy_pj'] / 1e9:.2f} mJ, {row['area_um2'] / 1e6:.2f} mm2"
    )

# %%
import matplotlib.pyplot as plt

feasible = table[table["feasible"]]
figure, panels = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
for panel, other, scale in zip(panels, ("latency_s", "area_um2"), (1e3, 1e-6), strict=True):
    for bits, marker, color in ((8, "s", "#e69f00"), (4, "o", "#56b4e9")):
        own = feasible[feasible["weights.bits"] == bits]
        panel.plot(own[other] * scale, own["energy_pj"] / 1e9, marker, color=color, alpha=0.35, label=f"{bits} bits")
    (two,) = pareto(table, (other, "energy_pj"))
    best = [(row[other] * scale, row["energy_pj"] / 1e9) for row in two.rows]
    panel.plot(*zip(*best, strict=True), "k.-", drawstyle="steps-post", label="front of these two")
    panel.grid(color="#dddddd")
panels[0].set(xlabel="latency, ms", ylabel="energy, mJ", xscale="log")
panels[0].set_xticks((5, 7, 10, 15, 20), (5, 7, 10, 15, 20))
panels[0].minorticks_off()
panels[1].set(xlabel="area, mm²")
panels[0].legend()
plt.show()

# %% [markdown]
# ## The knee, run whole
#
# The best compromise of the three, as a machine of its own. A row of the sweep is what a full run says of it.

# %%
knee = front.rows[front.knee]
print(knee["command"])
edits = {axis: knee[axis] for axis in front.axes}
bits = edits.pop("weights.bits")
chosen = accelsim.load_arch("edge_16x16").with_(edits)
(row,) = accelsim.evaluate("mobilenet_v2", arch=chosen, edits=[{"weights.bits": bits}])
assert row["latency_s"] == knee["latency_s"]
print(f"{row['latency_s'] * 1e3:.2f} ms, {row['energy_pj'] / 1e9:.2f} mJ, {row['area_um2'] / 1e6:.2f} mm2")

# %% [markdown]
# On the command line: `accelsim sweep SPACE.yaml --out DIR --html page.html`, then `accelsim pareto DIR --z area_um2 --html front.html`.
