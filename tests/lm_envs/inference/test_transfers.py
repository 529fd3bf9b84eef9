"""Arrays arrive with their shapes and types; on a CPU they are not copied."""

from __future__ import annotations

import numpy as np
import torch as th

from lm_envs.inference.transfers import HostCopy, to_device, to_device_together


def test_a_cpu_shares_the_memory():
    array = np.arange(6).reshape(2, 3)
    for tensor in (to_device(array, "cpu"), *to_device_together([array], th.device("cpu"))):
        array[0, 0] += 1
        assert tensor[0, 0] == array[0, 0]


def test_shapes_stay():
    arrays = [np.arange(3), np.arange(6).reshape(2, 3), np.zeros(0, dtype=np.int64)]
    for tensor, array in zip(to_device_together(arrays, "cpu"), arrays, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)


def test_a_host_copy_is_a_copy():
    bring, tensor = HostCopy(), th.arange(4)
    first = bring(tensor)
    tensor += 1
    assert first.tolist() == [0, 1, 2, 3]
    assert bring(tensor).tolist() == [1, 2, 3, 4]
