"""Runs in PyTorch's environment: how far the parts of a recipe are from the laws that they follow, as JSON.

python lsq_laws.py pytorch_lsq.py
"""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
from typing import Any

import torch
from torch import nn


def recipe(path: str) -> Any:
    """The recipe as a module."""
    spec = importlib.util.spec_from_file_location("recipe", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def folding(lsq: Any) -> dict[str, float]:
    """Without its quantizer, a folded layer beside a convolution and batch normalization: in training, in inference, and frozen."""
    conv, norm, x = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), torch.randn(16, 3, 8, 8)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.uniform_(norm.bias)
    layer = lsq.QuantizedLayer(conv, copy.deepcopy(norm))
    layer.quantizer, far = nn.Identity(), {}
    with torch.no_grad():
        for name, train in (("training", True), ("inference", False)):
            far[name] = float((layer.train(train)(x) - norm.train(train)(conv(x))).abs().max())
        layer.freeze()
        far["frozen"] = float((layer.train()(x) - norm(conv(x))).abs().max())
    return far


def gradients(lsq: Any) -> dict[str, float]:
    """Beside those of the paper's own pseudocode (1902.08153, appendix), which lets PyTorch derive them."""
    x, step, into, scale = torch.randn(8, 30), torch.rand(8, 1) * 0.3 + 0.1, torch.randn(8, 30), 0.07

    def written(v: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        scaled = (s - s * scale).detach() + s * scale
        u = (v / scaled).clamp(-8, 7)
        return ((u.round() - u).detach() + u) * scaled

    def derived(function: Any) -> tuple[torch.Tensor, ...]:
        given = x.clone().requires_grad_(), step.clone().requires_grad_()
        return torch.autograd.grad((function(*given) * into).sum(), given)

    ours, theirs = derived(lambda v, s: lsq.FakeQuantize.apply(v, s, scale, 4, True)), derived(written)
    return {name: float((a - b).abs().max()) for name, a, b in zip(("input", "step"), ours, theirs, strict=True)}


if __name__ == "__main__":
    torch.manual_seed(0)
    module = recipe(sys.argv[1])
    print(json.dumps(folding(module) | gradients(module)))
