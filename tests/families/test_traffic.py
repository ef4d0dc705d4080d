"""What a decoder's cache moves: per token, all keys and values are read from DRAM and the new ones written there."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim import load_arch, simulate, workload
from accelsim.explore import evaluate
from accelsim.graph import MacLayer, MatMul

ROOMY = {
    "activation_buffer.size_bytes": "16 MiB",
    "activation_buffer.resident_bytes": "8 MiB",
    "weight_buffer.size_bytes": "64 KiB",
}
"""Activations stay on chip, so that DRAM holds weights, caches and what crosses the border alone."""


def cached(*, context: int, layers: int, width: int, bits: int, batch: int = 1) -> int:
    """Bytes of the keys and values of so many tokens: two a layer, each of ``width`` codes."""
    return batch * context * layers * 2 * width * bits // 8


@pytest.mark.parametrize("kv_bits", [4, 8, 16])
@pytest.mark.parametrize(("context", "batch"), [(1, 1), (96, 3), (1000, 1)])
def test_a_step_of_gpt2_reads_its_cache_once_and_writes_one_token(context: int, batch: int, kv_bits: int) -> None:
    """Beside the cache, weights are read once, and what stands outside at least once: the token, and the one that the scores read."""
    size: dict[str, Any] = {"layers": 2, "width": 128, "heads": 4, "vocabulary": 500}
    step = workload("gpt2_small", context=context, kv_bits=kv_bits, weight_bits=4, batch=batch, **size)
    found = simulate(step, arch=load_arch("edge_16x16").with_(ROOMY))
    outside = {port.tensor for port in step.inputs}
    cache = 0
    for layer, made in zip(found.layers, step.layers, strict=True):
        weights = made.geometry.oc * made.geometry.reduction // 2 if isinstance(made, MacLayer) else 0
        if isinstance(made, MatMul):
            cache += layer.dram_read_bytes
        elif made.inputs[-1] in outside:
            again, rest = divmod(layer.dram_read_bytes - weights, batch * 128)
            assert (again >= 1, rest) == (True, 0), layer.name
        else:
            assert layer.dram_read_bytes == weights, layer.name
    assert cache == cached(context=context, layers=2, width=128, bits=kv_bits, batch=batch)
    new = cached(context=1, layers=2, width=128, bits=kv_bits, batch=batch)
    assert found.total.dram_write_bytes == new + batch * (128 + 500)


def test_the_cache_of_the_published_size() -> None:
    """1024 x 12 x 2 x 768 bytes at 8 bits: 18.9 MB a token, beside 123.5 MB of weights."""
    arch = load_arch("edge_16x16").with_(ROOMY)
    found = simulate(workload("gpt2_small"), arch=arch)
    products = [x for x in found.layers if x.name.endswith((".scores", ".context"))]
    assert sum(x.dram_read_bytes for x in products) == 1024 * 12 * 2 * 768 == 18_874_368
    news = [x for x in found.layers if x.name.endswith((".key", ".value"))]
    assert sum(x.dram_write_bytes for x in news) == 12 * 2 * 768


def test_grouped_queries_read_a_key_once_for_all_of_them() -> None:
    size: dict[str, Any] = {
        "layers": 2,
        "width": 256,
        "heads": 8,
        "feed_forward": 64,
        "vocabulary": 100,
        "context": 200,
    }
    arch = load_arch("edge_16x16").with_(ROOMY)
    for kv_heads in (8, 2, 1):
        found = simulate(workload("llama2_7b", kv_heads=kv_heads, **size), arch=arch)
        products = [x for x in found.layers if x.name.endswith((".scores", ".context"))]
        width = kv_heads * 256 // 8
        assert sum(x.dram_read_bytes for x in products) == cached(context=200, layers=2, width=width, bits=8)
        assert sum(x.dram_write_bytes for x in found.layers if x.name.endswith((".key", ".value"))) == 2 * 2 * width


def test_prefill_writes_the_cache_though_it_is_read_on_chip() -> None:
    size: dict[str, Any] = {"layers": 2, "width": 128, "heads": 4, "vocabulary": 100, "context": 64, "phase": "prefill"}
    for bits in (4, 8):
        found = simulate(workload("gpt2_small", kv_bits=bits, **size), arch=load_arch("edge_16x16").with_(ROOMY))
        news = [x for x in found.layers if x.name.endswith((".key", ".value"))]
        assert sum(x.dram_write_bytes for x in news) == cached(context=64, layers=2, width=128, bits=bits)
        assert sum(x.dram_write_bytes for x in found.layers) == sum(x.dram_write_bytes for x in news) + 64 * 128 + 100


@pytest.mark.parametrize("edits", [{}, ROOMY, {"dram.burst_bytes": 64}])
def test_evaluate_agrees_with_simulate(edits: dict[str, Any]) -> None:
    step = workload(
        "llama2_7b", layers=2, width=128, heads=4, kv_heads=2, feed_forward=64, vocabulary=50, context=77, kv_bits=4
    )
    found = simulate(step, arch=load_arch("edge_16x16").with_(edits)).total
    (row,) = evaluate(step, arch="edge_16x16", edits=[edits])
    assert (row["cycles"], row["dram_read_bytes"], row["dram_write_bytes"]) == (
        found.cycles, found.dram_read_bytes, found.dram_write_bytes,
    )  # fmt: skip
    assert row["energy_pj"] == pytest.approx(found.energy_pj, rel=1e-12)
