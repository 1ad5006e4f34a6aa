"""Layers that change sizes, and the order and the number of values."""

from __future__ import annotations

from tests.nets.parity.case import Case

CASES = {
    "upsample scale_factor 2 of 2 x 3 x 4": Case(
        {"type": "upsample", "scale_factor": 2}, ((2, 3, 4),), "nn.Upsample(scale_factor=2)"
    ),
    "upsample scale_factor 2 1.5 of 2 x 3 x 5": Case(
        {"type": "upsample", "scale_factor": [2, 1.5]}, ((2, 3, 5),), "nn.Upsample(scale_factor=(2,1.5))"
    ),
    "upsample scale_factor 0.7 of 2 x 6 x 5": Case(
        {"type": "upsample", "scale_factor": 0.7}, ((2, 6, 5),), "nn.Upsample(scale_factor=0.7)"
    ),
    "upsample size 5 7 of 2 x 3 x 4": Case(
        {"type": "upsample", "size": [5, 7]}, ((2, 3, 4),), "nn.Upsample(size=(5,7))"
    ),
    "upsample size 2 of 2 x 5 x 4": Case({"type": "upsample", "size": 2}, ((2, 5, 4),), "nn.Upsample(size=2)"),
    "upsample scale_factor 3 mode bilinear of 2 x 3 x 4": Case(
        {"type": "upsample", "scale_factor": 3, "mode": "bilinear"},
        ((2, 3, 4),),
        'nn.Upsample(scale_factor=3,mode="bilinear")',
    ),
    "upsample scale_factor 2 mode bilinear of 2 x 1 x 4": Case(
        {"type": "upsample", "scale_factor": 2, "mode": "bilinear"},
        ((2, 1, 4),),
        'nn.Upsample(scale_factor=2,mode="bilinear")',
    ),
    "upsample scale_factor 2 mode bilinear align_corners True of 2 x 3 x 4": Case(
        {"type": "upsample", "scale_factor": 2, "mode": "bilinear", "align_corners": True},
        ((2, 3, 4),),
        'nn.Upsample(scale_factor=2,mode="bilinear",align_corners=True)',
    ),
    "upsample size 5 7 mode bilinear of 2 x 3 x 4": Case(
        {"type": "upsample", "size": [5, 7], "mode": "bilinear"},
        ((2, 3, 4),),
        'nn.Upsample(size=(5,7),mode="bilinear")',
    ),
    "upsample size 2 3 mode bilinear of 2 x 5 x 7": Case(
        {"type": "upsample", "size": [2, 3], "mode": "bilinear"},
        ((2, 5, 7),),
        'nn.Upsample(size=(2,3),mode="bilinear")',
    ),
    "upsample size 1 mode bilinear align_corners True of 2 x 5 x 7": Case(
        {"type": "upsample", "size": 1, "mode": "bilinear", "align_corners": True},
        ((2, 5, 7),),
        'nn.Upsample(size=1,mode="bilinear",align_corners=True)',
    ),
    "upsample scale_factor 2.5 mode bilinear of 2 x 5 x 3": Case(
        {"type": "upsample", "scale_factor": 2.5, "mode": "bilinear"},
        ((2, 5, 3),),
        'nn.Upsample(scale_factor=2.5,mode="bilinear")',
    ),
    "upsample scale_factor 2 mode linear of 5 x 3": Case(
        {"type": "upsample", "scale_factor": 2, "mode": "linear"},
        ((5, 3),),
        'nn.Upsample(scale_factor=2,mode="linear")',
        channels_first=True,
    ),
    "upsample size 7 mode linear align_corners True of 5 x 3": Case(
        {"type": "upsample", "size": 7, "mode": "linear", "align_corners": True},
        ((5, 3),),
        'nn.Upsample(size=7,mode="linear",align_corners=True)',
        channels_first=True,
    ),
    "upsample scale_factor 3 of 5 x 3": Case(
        {"type": "upsample", "scale_factor": 3}, ((5, 3),), "nn.Upsample(scale_factor=3)", channels_first=True
    ),
    "pixelshuffle upscale_factor 2 of 8 x 3 x 2": Case(
        {"type": "pixelshuffle", "upscale_factor": 2}, ((8, 3, 2),), "nn.PixelShuffle(2)"
    ),
    "pixelshuffle upscale_factor 3 of 18 x 2 x 3": Case(
        {"type": "pixelshuffle", "upscale_factor": 3}, ((18, 2, 3),), "nn.PixelShuffle(3)"
    ),
    "pixelunshuffle downscale_factor 2 of 2 x 4 x 6": Case(
        {"type": "pixelunshuffle", "downscale_factor": 2}, ((2, 4, 6),), "nn.PixelUnshuffle(2)"
    ),
    "zeropad2d padding 2 of 2 x 3 x 4": Case({"type": "zeropad2d", "padding": 2}, ((2, 3, 4),), "nn.ZeroPad2d(2)"),
    "zeropad2d padding 1 -2 3 -1 of 2 x 3 x 4": Case(
        {"type": "zeropad2d", "padding": [1, -2, 3, -1]}, ((2, 3, 4),), "nn.ZeroPad2d((1,-2,3,-1))"
    ),
    "flatten start_dim 2 of 2 x 3 x 4": Case(
        {"type": "flatten", "start_dim": 2}, ((2, 3, 4),), "Given(lambda x: nn.Flatten(2)(x).permute(0,2,1))"
    ),
    "flatten start_dim -2 of 2 x 3 x 4": Case(
        {"type": "flatten", "start_dim": -2}, ((2, 3, 4),), "Given(lambda x: nn.Flatten(2)(x).permute(0,2,1))"
    ),
    "flatten start_dim 3 of 2 x 3 x 4": Case({"type": "flatten", "start_dim": 3}, ((2, 3, 4),), "nn.Flatten(3)"),
    "flatten start_dim -2 of 3 x 4": Case({"type": "flatten", "start_dim": -2}, ((3, 4),), "nn.Flatten(1)"),
    "reshape shape 3 -1 of 2 x 3 x 4": Case(
        {"type": "reshape", "shape": [3, -1]}, ((2, 3, 4),), "Given(lambda x: nn.Unflatten(1,(3,8))(x.flatten(1)))"
    ),
    "reshape shape 3 2 4 of 6 x 4": Case(
        {"type": "reshape", "shape": [3, 2, 4]}, ((6, 4),), "Given(lambda x: nn.Unflatten(1,(3,2,4))(x.flatten(1)))"
    ),
    "permute dims 3 1 2 of 2 x 3 x 4": Case(
        {"type": "permute", "dims": [3, 1, 2]}, ((2, 3, 4),), "Given(lambda x: x.permute(0,3,1,2))"
    ),
    "permute dims 0 2 1 of 3 x 4": Case(
        {"type": "permute", "dims": [0, 2, 1]}, ((3, 4),), "Given(lambda x: x.permute(0,2,1))"
    ),
    "slice index -2 of 5 x 3": Case({"type": "slice", "index": -2}, ((5, 3),), "Given(lambda x: x[:,-2])"),
    "slice start -3 stop -1 of 5 x 3": Case(
        {"type": "slice", "start": -3, "stop": -1}, ((5, 3),), "Given(lambda x: x[:,-3:-1])"
    ),
    "slice axis features step 2 of 5 x 3": Case(
        {"type": "slice", "axis": "features", "step": 2}, ((5, 3),), "Given(lambda x: x[:,:,::2])"
    ),
    "slice axis 1 start 1 of 3 x 4 x 5": Case(
        {"type": "slice", "axis": 1, "start": 1}, ((3, 4, 5),), "Given(lambda x: x[:,1:])"
    ),
    "slice axis -1 start 1 step 2 of 3 x 4 x 5": Case(
        {"type": "slice", "axis": -1, "start": 1, "step": 2}, ((3, 4, 5),), "Given(lambda x: x[...,1::2])"
    ),
    "crop2d cropping 1 of 2 x 5 x 4": Case({"type": "crop2d", "cropping": 1}, ((2, 5, 4),), "nn.ZeroPad2d(-1)"),
    "crop2d cropping 1 0 2 1 of 2 x 5 x 4": Case(
        {"type": "crop2d", "cropping": [1, 0, 2, 1]}, ((2, 5, 4),), "nn.ZeroPad2d((-1,0,-2,-1))"
    ),
    "crop2d size 3 2 of 2 x 7 x 6": Case(
        {"type": "crop2d", "size": [3, 2]}, ((2, 7, 6),), "Given(lambda x: x[:,:,2:5,2:4])"
    ),
}
