"""Optimizers whose saved state is half as large."""

from __future__ import annotations

from typing import Any

import torch as th


def save_moments_in_bfloat16(optimizer: th.optim.Optimizer) -> None:
    """Let ``optimizer.state_dict()`` hold running means, such as Adam's two, in bfloat16; loading makes them float32.

    While it steps they are float32 as ever. Rounding them once, to 8 bits of mantissa, changes the first steps after a
    load by less than 1%. An adapter's zip is a third smaller for it.
    """
    optimizer.register_state_dict_post_hook(_rounded)


def _rounded(optimizer: th.optim.Optimizer, state_dict: dict[str, Any]) -> dict[str, Any]:
    state = {
        key: {name: _in_bfloat16(value) for name, value in entries.items()}
        for key, entries in state_dict["state"].items()
    }
    return {**state_dict, "state": state}


def _in_bfloat16(value: Any) -> Any:
    is_moment = isinstance(value, th.Tensor) and value.ndim > 0 and value.dtype == th.float32
    return value.bfloat16() if is_moment else value
