"""Compiled functions that only compiled functions call, made callable for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def callable_from_python(function: Any) -> Callable[..., Any]:
    """A compiled function with the wrapper that :func:`accelsim.numba_cache.inner` leaves out."""
    return numba.njit(function.py_func)
