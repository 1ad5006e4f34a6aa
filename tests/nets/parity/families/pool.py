"""Pools."""

from tests.nets.parity.case import Case

IMAGE, STEPS = (2, 7, 6), (10, 3)


def pool(kind: str, torch: str, **fields: object) -> Case:
    """Of an image of 2 channels, 7 x 6 pixels."""
    return Case({"type": kind, **fields}, (IMAGE,), torch)


def along(kind: str, torch: str, **fields: object) -> Case:
    """Of 10 steps of 3 features."""
    return Case({"type": kind, **fields}, (STEPS,), torch, channels_first=True)


CASES = {
    "maxpool2d": Case({"type": "maxpool2d", "kernel_size": 2}, ((3, 6, 5),), "nn.MaxPool2d(2)"),
    "maxpool2d of a stride": Case(
        {"type": "maxpool2d", "kernel_size": [3, 2], "stride": [1, 2], "padding": [1, 0]},
        ((3, 6, 5),),
        "nn.MaxPool2d((3, 2), stride=(1, 2), padding=(1, 0))",
    ),
    "maxpool2d rounded up": pool("maxpool2d", "nn.MaxPool2d(2, ceil_mode=True)", kernel_size=2, ceil_mode=True),
    "maxpool2d dilated": pool(
        "maxpool2d",
        "nn.MaxPool2d(3, (2, 1), 1, (2, 1), ceil_mode=True)",
        kernel_size=3,
        stride=[2, 1],
        padding=1,
        dilation=[2, 1],
        ceil_mode=True,
    ),
    "maxpool2d of large windows": Case(
        {"type": "maxpool2d", "kernel_size": [20, 18]}, ((2, 20, 19),), "nn.MaxPool2d((20, 18))"
    ),
    "maxpool1d": along(
        "maxpool1d", "nn.MaxPool1d(3, 2, 1, 2, ceil_mode=True)", kernel_size=3, stride=2, padding=1, dilation=2, ceil_mode=True
    ),
    "avgpool2d": pool("avgpool2d", "nn.AvgPool2d(2)", kernel_size=2),
    "avgpool2d with padding": pool(
        "avgpool2d", "nn.AvgPool2d(3, 2, 1, ceil_mode=True)", kernel_size=3, stride=2, padding=1, ceil_mode=True
    ),
    "avgpool2d without padding": pool(
        "avgpool2d",
        "nn.AvgPool2d((4, 3), (3, 2), (2, 1), True, False)",
        kernel_size=[4, 3],
        stride=[3, 2],
        padding=[2, 1],
        ceil_mode=True,
        count_include_pad=False,
    ),
    "avgpool2d of a divisor": pool(
        "avgpool2d", "nn.AvgPool2d(3, 1, divisor_override=5)", kernel_size=3, stride=1, divisor_override=5
    ),
    "avgpool1d": along(
        "avgpool1d", "nn.AvgPool1d(4, 3, 1, True, False)", kernel_size=4, stride=3, padding=1, ceil_mode=True, count_include_pad=False
    ),
    "lppool2d": pool("lppool2d", "nn.LPPool2d(2, (2, 3), ceil_mode=True)", norm_type=2, kernel_size=[2, 3], ceil_mode=True),
    "lppool2d of sums": pool("lppool2d", "nn.LPPool2d(1, 3, 2)", norm_type=1, kernel_size=3, stride=2),
    "adaptiveavgpool2d": pool("adaptiveavgpool2d", "nn.AdaptiveAvgPool2d((3, 4))", output_size=[3, 4]),
    "adaptiveavgpool2d of one side": pool("adaptiveavgpool2d", "nn.AdaptiveAvgPool2d((None, 3))", output_size=[None, 3]),
    "adaptiveavgpool1d": along("adaptiveavgpool1d", "nn.AdaptiveAvgPool1d(13)", output_size=13),
    "adaptivemaxpool2d": pool("adaptivemaxpool2d", "nn.AdaptiveMaxPool2d((3, 4))", output_size=[3, 4]),
    "adaptivemaxpool1d": along("adaptivemaxpool1d", "nn.AdaptiveMaxPool1d(4)", output_size=4),
    "globalavgpool": pool("globalavgpool", "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())"),
    "globalmaxpool": along("globalmaxpool", "nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten())"),
}  # fmt: skip
