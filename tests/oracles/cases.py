"""Every case of one operator, by name."""

from __future__ import annotations

from tests.oracles import function_op, moving_op, one_op, recurrent_op

CASES = {**one_op.CASES, **moving_op.CASES, **function_op.CASES, **recurrent_op.CASES}
