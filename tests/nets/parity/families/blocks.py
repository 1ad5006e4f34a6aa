"""Layers that are made of others: blocks of well-known networks."""

from tests.nets.parity.case import Case

IMAGE = (4, 6, 4)  # of even sizes, where a stride shows on which side the zeros stand


def case(type: str, torch: str, *, takes: tuple[int, ...] = IMAGE, names: object = None, **fields: object) -> Case:
    return Case({"type": type, **fields}, (takes,), torch, names=dict(names or {}))


SHORTCUT = {"it.skip": "downsample.0", "it.skip_norm": "downsample.1", "it.norm1": "bn1", "it.norm2": "bn2"}
BASIC = {
    f"{ours}.{array}": f"{theirs}.{array}"
    for ours, theirs in SHORTCUT.items()
    for array in ("weight", "bias", "running_mean", "running_var")
}
LIKE_TORCHVISION = {"bias": False, "padding": "symmetric", "shortcut": "projection_norm", "names": BASIC}

CASES = {
    "bottleneck": case("bottleneck", "Bottleneck(4, 1)", out_channels=4),
    "bottleneck of a stride": case("bottleneck", "Bottleneck(4, 2, 2)", out_channels=8, stride=2),
    "bottleneck of groups": case(
        "bottleneck", "Bottleneck(4, 4, groups=2, expansion=2)", out_channels=8, expansion=2, groups=2
    ),
    "residual_block": case("residual_block", "BasicBlock(4, 4)", out_channels=4, **LIKE_TORCHVISION),
    "residual_block of a stride": case(
        "residual_block", "BasicBlock(4, 6, 2)", out_channels=6, stride=2, **LIKE_TORCHVISION
    ),
    "invertedresidual": case("invertedresidual", "InvertedResidual(4, 4, 1, 6)", out_channels=4),
    "invertedresidual of a stride": case(
        "invertedresidual", "InvertedResidual(4, 6, 2, 2, 5)", out_channels=6, stride=2, expand_ratio=2, kernel_size=5
    ),
    "invertedresidual that does not expand": case(
        "invertedresidual",
        "InvertedResidual(4, 4, 1, 1, activation=nn.Hardswish)",
        out_channels=4,
        expand_ratio=1,
        activation="hardswish",
    ),
    "squeezeexcitation": case("squeezeexcitation", "SqueezeExcitation(4, 2)", ratio=2),
    "squeezeexcitation of other functions": case(
        "squeezeexcitation",
        "SqueezeExcitation(4, 3, nn.SiLU, nn.Hardsigmoid)",
        squeeze_channels=3,
        activation="silu",
        scale_activation="hardsigmoid",
    ),
    "denseblock": case("denseblock", "DenseBlock(2, 4, 2)", num_layers=2, growth_rate=2),
    "denseblock without bottlenecks": case(
        "denseblock", "DenseBlock(2, 4, 3, None)", num_layers=2, growth_rate=3, bn_size=None
    ),
    "convmixerblock": case("convmixerblock", "ConvMixerBlock(4, 3)", kernel_size=3),
    "convmixerblock of an even kernel": case("convmixerblock", "ConvMixerBlock(4, 4)", kernel_size=4),
}
INITIAL = {
    "bottleneck": Case(
        {"type": "bottleneck", "out_channels": 64, "stride": 2}, ((32, 4, 4),), "Bottleneck(32, 16, stride=2)"
    ),
    "residual_block": Case(
        {
            "type": "residual_block",
            "out_channels": 32,
            "bias": False,
            "padding": "symmetric",
            "shortcut": "projection_norm",
        },
        ((20, 4, 4),),
        "BasicBlock(20, 32)",
        names=BASIC,
    ),
    "invertedresidual": Case(
        {"type": "invertedresidual", "out_channels": 40}, ((20, 4, 4),), "InvertedResidual(20, 40, 1, 6)"
    ),
    "squeezeexcitation": Case({"type": "squeezeexcitation", "ratio": 2}, ((60, 4, 4),), "SqueezeExcitation(60, 30)"),
    "denseblock": Case(
        {"type": "denseblock", "num_layers": 2, "growth_rate": 8}, ((20, 4, 4),), "DenseBlock(2, 20, 8)"
    ),
    "convmixerblock": Case({"type": "convmixerblock", "kernel_size": 5}, ((60, 8, 8),), "ConvMixerBlock(60, 5)"),
}
