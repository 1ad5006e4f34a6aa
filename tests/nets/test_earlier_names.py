"""Files that earlier versions wrote: a block's arrays lay flat under its own id."""

from nets.earlier_names import renamed
from tests.nets.builders import network


def test_arrays_of_a_block_are_found_in_its_parts() -> None:
    a = network({"type": "residual_block", "out_channels": 4}, {"type": "linear", "out": 3})
    old = {
        "params": {"residual_block_0": {"conv1_kernel": 1, "conv2_bias": 2, "norm1_scale": 3}, "linear_1": {"bias": 4}},
        "batch_stats": {"input": {"mean": 5}, "residual_block_0": {"norm2_var": 6}},
    }
    assert renamed(old, a.graph) == {
        "params": {
            "residual_block_0.conv1": {"kernel": 1},
            "residual_block_0.conv2": {"bias": 2},
            "residual_block_0.norm1": {"scale": 3},
            "linear_1": {"bias": 4},
        },
        "batch_stats": {"input": {"mean": 5}, "residual_block_0.norm2": {"var": 6}},
    }


def test_files_of_today_stay_as_they_are() -> None:
    a = network({"type": "residual_block", "out_channels": 4}, {"type": "linear", "out": 3})
    new = {"params": {"residual_block_0.conv1": {"kernel": 1}}, "batch_stats": {}}
    assert renamed(new, a.graph) == new
