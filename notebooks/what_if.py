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
# # What if?
#
# MobileNetV2 on a small edge machine: what do more bandwidth, more memory and fewer bits buy, in time, energy and area, and why?
# Every point is mapped afresh and scheduled whole.

# %%
import matplotlib.pyplot as plt
import numpy as np

import accelsim

machine, network = accelsim.load_arch("edge_16x16"), "mobilenet_v2"
now = accelsim.simulate(network, arch=machine)
now

# %% [markdown]
# ## One knob at a time
#
# Three axes, a row of `accelsim.evaluate` for each point.

# %%
bandwidths = (0.4, 0.8, 1.6, 3.2, 6.4, 12.8)
kept = (0, 64, 128, 256, 512, 1024)
bits = (8, 7, 6, 5, 4, 3, 2)
axes = {
    "DRAM bandwidth, GB/s": (bandwidths, [{"dram.bandwidth_bytes_per_s": f"{rate} GB/s"} for rate in bandwidths]),
    "tensors kept on chip, KiB": (
        kept,
        [
            {"activation_buffer.size_bytes": f"{size + 64} KiB", "activation_buffer.resident_bytes": f"{size} KiB"}
            for size in kept
        ],
    ),
    "bits of weights": (bits, [{"weights.bits": width} for width in bits]),
}
tables = {name: accelsim.evaluate(network, arch=machine, edits=edits) for name, (_, edits) in axes.items()}
for name, (values, _) in axes.items():
    for value, row in zip(values, tables[name], strict=True):
        print(
            f"{name}: {value}: {row['latency_s'] * 1e3:.2f} ms, {row['energy_pj'] / 1e9:.2f} mJ, "
            f"{row['area_um2'] / 1e6:.2f} mm2, {row['bound']}"
        )

# %%
figure, panels = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained", sharey=True)
for panel, (name, (values, _)) in zip(panels, axes.items(), strict=True):
    places = np.arange(len(values))
    for column, label, marker in (
        ("latency_s", "latency", "o"),
        ("energy_pj", "energy", "s"),
        ("area_um2", "area", "^"),
    ):
        panel.plot(places, tables[name][column] / tables[name][column][0], marker=marker, label=label)
    panel.set(xlabel=name, xticks=places, xticklabels=values, yscale="log")
    panel.minorticks_off()
shares = (0.2, 0.5, 1, 2, 5)
panels[0].set_yticks(shares, [f"x{share:g}" for share in shares])
panels[0].set_ylabel("relative to the first point")
panels[0].legend()
plt.show()

# %% [markdown]
# Bandwidth buys time until the array is the bottleneck. Memory for whole tensors buys energy, because DRAM has most of it, and costs area.
# Fewer bits of weights buy energy in proportion to the weights' share of the traffic. Widths that the network does not have are timed
# and priced, not executed: what they do to accuracy says `accelsim quantize`.
#
# ## Why: layer by layer

# %%
from accelsim.explore import simulate_variants

variants = {
    "half the bandwidth": {"dram.bandwidth_bytes_per_s": "1.6 GB/s"},
    "tensors on chip": {"activation_buffer.size_bytes": "320 KiB", "activation_buffer.resident_bytes": "256 KiB"},
    "weights of 4 bits": {"weights.bits": 4},
}
found = accelsim.compare({"now": now, **simulate_variants(network, arch=machine, variants=variants)})
print(found)

# %% [markdown]
# ## Which knob matters
#
# The elasticity of latency and energy to every number of the machine: 1 % more of the knob, so many percent more of the figure.

# %%
knobs = accelsim.sensitivity(network, arch=machine)
for knob in knobs.effective[:8]:
    if knob.elasticity:
        print(f"{knob.path:30} latency {knob.elasticity['latency_s']:+.2f}, energy {knob.elasticity['energy_pj']:+.2f}")
