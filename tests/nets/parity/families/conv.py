"""Convolutions."""

from tests.nets.parity.case import Case


def conv2d(arguments: str, **fields: object) -> Case:
    """A convolution of images of 4 channels, 5 x 6 pixels."""
    return Case({"type": "conv2d", "out_channels": 6, **fields}, ((4, 5, 6),), f"nn.Conv2d(4, 6, {arguments})")


def conv1d(arguments: str, **fields: object) -> Case:
    """A convolution of 9 steps of 4 features."""
    layer = {"type": "conv1d", "out_channels": 6, **fields}
    return Case(layer, ((9, 4),), f"nn.Conv1d(4, 6, {arguments})", channels_first=True)


def transposed(arguments: str, **fields: object) -> Case:
    """A transposed convolution of images of 4 channels, 3 x 5 pixels."""
    layer = {"type": "convtranspose2d", "out_channels": 6, **fields}
    return Case(layer, ((4, 3, 5),), f"nn.ConvTranspose2d(4, 6, {arguments})")


CASES = {
    "conv2d": conv2d("3", kernel_size=3),
    "conv2d of a stride": conv2d("3, stride=2, padding=1", kernel_size=3, stride=2, padding=1),
    "conv2d of two sizes": conv2d("(3, 2), padding=(0, 1), bias=False", kernel_size=[3, 2], padding=[0, 1], bias=False),
    "conv2d of groups": conv2d("3, groups=2, padding='same'", kernel_size=3, groups=2, padding="same"),
    "conv2d dilated": conv2d("(2, 3), dilation=(3, 2)", kernel_size=[2, 3], dilation=[3, 2]),
    "conv2d reflecting": conv2d(
        "3, stride=(1, 2), padding=(2, 1), padding_mode='reflect'",
        kernel_size=3, stride=[1, 2], padding=[2, 1], padding_mode="reflect",
    ),
    "conv2d replicating": conv2d(
        "(2, 3), padding=(7, 1), groups=2, padding_mode='replicate'",
        kernel_size=[2, 3], padding=[7, 1], groups=2, padding_mode="replicate",
    ),
    "conv2d circular": conv2d(
        "4, padding='same', padding_mode='circular', dilation=(1, 2)",
        kernel_size=4, padding="same", padding_mode="circular", dilation=[1, 2],
    ),
    "conv2d depthwise": Case(
        {"type": "conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1, "groups": 4}, ((4, 5, 6),),
        "nn.Conv2d(4, 8, 3, padding=1, groups=4)",
    ),
    "conv1d": conv1d("3, padding=1", kernel_size=3, padding=1),
    "conv1d of a stride": conv1d(
        "4, stride=2, groups=2, bias=False", kernel_size=4, stride=2, groups=2, bias=False
    ),
    "conv1d dilated": conv1d("2, padding='same', dilation=3", kernel_size=2, padding="same", dilation=3),
    "conv1d reflecting": conv1d(
        "5, padding=4, padding_mode='reflect'", kernel_size=5, padding=4, padding_mode="reflect"
    ),
    "convtranspose2d": transposed(
        "3, 2, 1, output_padding=1", kernel_size=3, stride=2, padding=1, output_padding=1
    ),
    "convtranspose2d of two sizes": transposed(
        "(3, 2), (1, 3), (1, 0), (0, 2), groups=2, bias=False",
        kernel_size=[3, 2], stride=[1, 3], padding=[1, 0], output_padding=[0, 2], groups=2, bias=False,
    ),
    "convtranspose2d dilated": transposed(
        "2, (2, 1), 0, (2, 1), dilation=3", kernel_size=2, stride=[2, 1], output_padding=[2, 1], dilation=3
    ),
    "convtranspose2d side by side": transposed("2, 2", kernel_size=2, stride=2),
    "convtranspose1d": Case(
        {"type": "convtranspose1d", "out_channels": 6, "kernel_size": 4, "stride": 3, "padding": 1, "output_padding": 2},
        ((5, 4),), "nn.ConvTranspose1d(4, 6, 4, 3, 1, 2)", channels_first=True,
    ),
    "separableconv2d": Case(
        {"type": "separableconv2d", "out_channels": 5, "kernel_size": 3, "stride": 2, "padding": 1, "depth_multiplier": 2},
        ((4, 5, 6),), "nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, groups=4, bias=False), nn.Conv2d(8, 5, 1))",
        names={"it.depthwise.weight": "0.weight", "it.pointwise.weight": "1.weight", "it.pointwise.bias": "1.bias"},
    ),
}  # fmt: skip
INITIAL = {
    "conv2d": Case({"type": "conv2d", "out_channels": 40, "kernel_size": 3}, ((30, 5, 5),), "nn.Conv2d(30, 40, 3)"),
    "conv2d of groups": Case(
        {"type": "conv2d", "out_channels": 40, "kernel_size": 3, "groups": 2}, ((20, 5, 5),), "nn.Conv2d(20, 40, 3, groups=2)"
    ),
    "conv1d": Case(
        {"type": "conv1d", "out_channels": 60, "kernel_size": 5}, ((9, 40),), "nn.Conv1d(40, 60, 5)", channels_first=True
    ),
    "convtranspose2d": Case(
        {"type": "convtranspose2d", "out_channels": 20, "kernel_size": 3, "groups": 2}, ((80, 5, 5),),
        "nn.ConvTranspose2d(80, 20, 3, groups=2)",
    ),
    "convtranspose1d": Case(
        {"type": "convtranspose1d", "out_channels": 30, "kernel_size": 4}, ((5, 40),), "nn.ConvTranspose1d(40, 30, 4)",
        channels_first=True,
    ),
    "separableconv2d": Case(
        {"type": "separableconv2d", "out_channels": 60, "kernel_size": 5, "depth_multiplier": 2}, ((30, 6, 6),),
        "nn.Sequential(nn.Conv2d(30, 60, 5, groups=30, bias=False), nn.Conv2d(60, 60, 1))",
        names={"it.depthwise.weight": "0.weight", "it.pointwise.weight": "1.weight", "it.pointwise.bias": "1.bias"},
    ),
}  # fmt: skip
