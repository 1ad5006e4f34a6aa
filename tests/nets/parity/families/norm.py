"""Norms."""

from tests.nets.parity.case import Case

IMAGE, STEPS, FEATURES = (4, 3, 5), (5, 6), (6,)


def case(module: str, *, takes: tuple[int, ...] = IMAGE, channels_first: bool = False, **layer: object) -> Case:
    """A layer on values that have a mean and a deviation of their own."""
    return Case(layer, (takes,), module, spread=2, shift=0.7, channels_first=channels_first, batch=4)


CASES = {
    "batchnorm2d": case("nn.BatchNorm2d(4)", type="batchnorm2d"),
    "layernorm": case("nn.LayerNorm(6)", type="layernorm", takes=STEPS),
    "batchnorm1d": case("nn.BatchNorm1d(6)", type="batchnorm1d", takes=FEATURES),
    "batchnorm1d of steps": case("nn.BatchNorm1d(6)", type="batchnorm1d", takes=STEPS, channels_first=True),
    "batchnorm2d of options": case(
        "nn.BatchNorm2d(4, eps=0.01, momentum=0.3)", type="batchnorm2d", eps=0.01, momentum=0.3
    ),
    "batchnorm2d without weights": case("nn.BatchNorm2d(4, affine=False)", type="batchnorm2d", affine=False),
    "batchnorm2d without a constant": case("nn.BatchNorm2d(4, bias=False)", type="batchnorm2d", bias=False),
    "batchnorm1d of steps without a constant": case(
        "nn.BatchNorm1d(6, bias=False)", type="batchnorm1d", bias=False, takes=STEPS, channels_first=True
    ),
    "batchnorm2d without statistics": case(
        "nn.BatchNorm2d(4, track_running_stats=False)", type="batchnorm2d", track_running_stats=False
    ),
    "batchnorm2d with a mean of all": case("nn.BatchNorm2d(4, momentum=None)", type="batchnorm2d", momentum=None),
    "batchnorm1d with a mean of all": case(
        "nn.BatchNorm1d(6, momentum=None, affine=False)", type="batchnorm1d", momentum=None, affine=False, takes=FEATURES
    ),
    "batchnorm1d without anything": case(
        "nn.BatchNorm1d(6, affine=False, track_running_stats=False)",
        type="batchnorm1d",
        affine=False,
        track_running_stats=False,
        takes=STEPS,
        channels_first=True,
    ),
    "layernorm of features": case("nn.LayerNorm(6, eps=0.01)", type="layer_norm", eps=0.01, takes=FEATURES),
    "layernorm of an image": case("nn.LayerNorm([4, 3, 5])", type="layernorm"),
    "layernorm of rows": case("nn.LayerNorm(5, bias=False)", type="layernorm", axes=1, bias=False),
    "layernorm of planes": case("nn.LayerNorm([3, 5])", type="layernorm", normalized_shape=[3, 5]),
    "layernorm of pixels": Case(
        {"type": "layernorm", "axes": "channels"}, (IMAGE,), "Pixels(nn.LayerNorm(4))",
        names={"it.weight": "inner.weight", "it.bias": "inner.bias"},
    ),
    "layernorm of two axes": case("nn.LayerNorm([5, 6])", type="layernorm", normalized_shape=[5, 6], takes=STEPS),
    "layernorm without weights": case(
        "nn.LayerNorm(6, elementwise_affine=False)", type="layernorm", elementwise_affine=False, takes=STEPS
    ),
    "groupnorm": case("nn.GroupNorm(2, 4)", type="groupnorm", num_groups=2),
    "groupnorm of steps": case(
        "nn.GroupNorm(3, 6, eps=0.01)", type="groupnorm", num_groups=3, eps=0.01, takes=STEPS, channels_first=True
    ),
    "groupnorm of features": case(
        "nn.GroupNorm(2, 6, affine=False)", type="groupnorm", num_groups=2, affine=False, takes=FEATURES
    ),
    "groupnorm without a constant": case("nn.GroupNorm(2, 4, bias=False)", type="groupnorm", num_groups=2, bias=False),
    "instancenorm2d without a constant": case(
        "nn.InstanceNorm2d(4, affine=True, bias=False)", type="instancenorm2d", affine=True, bias=False
    ),
    "instancenorm2d": case("nn.InstanceNorm2d(4)", type="instancenorm2d"),
    "instancenorm2d with all": case(
        "nn.InstanceNorm2d(4, eps=0.01, momentum=0.3, affine=True, track_running_stats=True)",
        type="instancenorm2d",
        eps=0.01,
        momentum=0.3,
        affine=True,
        track_running_stats=True,
    ),
    "rmsnorm": case("nn.RMSNorm(6)", type="rmsnorm", takes=STEPS),
    "rmsnorm of an image": case("nn.RMSNorm([4, 3, 5], eps=0.01)", type="rmsnorm", eps=0.01),
    "rmsnorm without weights": case(
        "nn.RMSNorm(6, elementwise_affine=False)", type="rmsnorm", elementwise_affine=False, takes=FEATURES
    ),
    "localresponsenorm": case("nn.LocalResponseNorm(3)", type="localresponsenorm", size=3),
    "localresponsenorm of options": case(
        "nn.LocalResponseNorm(2, alpha=0.5, beta=0.6, k=2.0)", type="lrn", size=2, alpha=0.5, beta=0.6, k=2
    ),
    "localresponsenorm of steps": case(
        "nn.LocalResponseNorm(4, alpha=0.5)",
        type="localresponsenorm",
        size=4,
        alpha=0.5,
        takes=STEPS,
        channels_first=True,
    ),
}  # fmt: skip
INITIAL = {
    "batchnorm2d": Case({"type": "batchnorm2d"}, ((500, 1, 2),), "nn.BatchNorm2d(500)"),
    "layernorm": Case({"type": "layernorm"}, ((500,),), "nn.LayerNorm(500)"),
    "groupnorm": Case({"type": "groupnorm", "num_groups": 2}, ((500,),), "nn.GroupNorm(2, 500)"),
    "rmsnorm": Case({"type": "rmsnorm"}, ((500,),), "nn.RMSNorm(500)"),
}
