"""Convolutions."""

from tests.nets.parity.case import Case


def conv2d(arguments: str, **fields: object) -> Case:
    """A convolution of images of 4 channels, 5 x 6 pixels."""
    return Case({"type": "conv2d", "out_channels": 6, **fields}, ((4, 5, 6),), f"nn.Conv2d(4, 6, {arguments})")


CASES = {
    "conv2d": conv2d("3", kernel_size=3),
    "conv2d of a stride": conv2d("3, stride=2, padding=1", kernel_size=3, stride=2, padding=1),
    "conv2d of two sizes": conv2d("(3, 2), padding=(0, 1), bias=False", kernel_size=[3, 2], padding=[0, 1], bias=False),
    "conv2d of groups": conv2d("3, groups=2, padding='same'", kernel_size=3, groups=2, padding="same"),
    "conv2d dilated": conv2d("(2, 3), dilation=(3, 2)", kernel_size=[2, 3], dilation=[3, 2]),
}
INITIAL = {
    "conv2d": Case({"type": "conv2d", "out_channels": 40, "kernel_size": 3}, ((30, 5, 5),), "nn.Conv2d(30, 40, 3)"),
}
