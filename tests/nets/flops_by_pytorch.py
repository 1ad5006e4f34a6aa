"""What PyTorch counts of public networks: `flops_by_pytorch.json`, made once by this script, which needs PyTorch.

usage: pip install torch==2.13.0 && python -m tests.nets.flops_by_pytorch

The networks are written here and in `examples_in_pytorch.py` by hand, from their sources, and once more as JSON in
`nets/examples` and `public_networks.py`; no test needs PyTorch. Where a maximum stands for a mean over windows: neither
has weights, and `FlopCounterMode` counts neither.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.nets.examples_in_pytorch import NETWORKS as MORE
from tests.nets.examples_in_pytorch import TOKENS, Last

DATA = Path(__file__).with_suffix(".json")
BATCH = 4


def keras_mnist_convnet():
    """keras-io, examples/vision/mnist_convnet.py."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10)),
    )


def keras_mnist_mlp():
    """keras, examples/mnist_mlp.py."""
    hidden = [nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(512, 10))


def tensorflow_quickstart():
    """tensorflow.org, tutorials/quickstart/beginner."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))


def pytorch_mnist_example():
    """pytorch/examples, mnist/main.py."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    )


def tensorflow_cifar_tutorial():
    """tensorflow.org, tutorials/images/cnn."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(64, 64, 3), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def torchinfo_example():
    """TylerYep/torchinfo, README.md."""
    return nn.Sequential(
        *(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(10, 20, 5), nn.Dropout(0.3), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(320, 50), nn.ReLU(), nn.Linear(50, 10)),
    )


def caffe_lenet():
    """BVLC/caffe, examples/mnist/lenet.prototxt."""
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)),
    )


def pytorch_cifar_tutorial():
    """pytorch.org, tutorials/beginner/blitz/cifar10_tutorial.html."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def keras_cifar10_cnn():
    """keras, examples/cifar10_cnn.py."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(2304, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)),
    )


def vgg16_bn():
    """kuangliu/pytorch-cifar, models/vgg.py."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
        if isinstance(width, str):
            layers += [nn.MaxPool2d(2)]
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def twenty_five_million_images():
    """The network of Deotte's "25 Million Images! [0.99757] MNIST" on Kaggle."""

    def normed(*sizes, **fields):
        return nn.Conv2d(*sizes, **fields), nn.ReLU(), nn.BatchNorm2d(sizes[1])

    return nn.Sequential(
        *(*normed(1, 32, 3), *normed(32, 32, 3), *normed(32, 32, 5, stride=2, padding=2), nn.Dropout(0.4)),
        *(*normed(32, 64, 3), *normed(64, 64, 3), *normed(64, 64, 5, stride=2, padding=2), nn.Dropout(0.4)),
        *(*normed(64, 128, 4), nn.Flatten(), nn.Dropout(0.4), nn.Linear(128, 10)),
    )


def all_cnn_c():
    """Springenberg et al., 2015, with padding in its first eight layers, and a maximum over the image at the end."""

    def conv(*sizes, **fields):
        return nn.Conv2d(*sizes, **fields), nn.ReLU()

    return nn.Sequential(
        *(nn.Dropout(0.2), *conv(3, 96, 3, padding=1), *conv(96, 96, 3, padding=1)),
        *(*conv(96, 96, 3, stride=2, padding=1), nn.Dropout(0.5)),
        *(*conv(96, 192, 3, padding=1), *conv(192, 192, 3, padding=1), *conv(192, 192, 3, stride=2, padding=1)),
        *(nn.Dropout(0.5), *conv(192, 192, 3), *conv(192, 192, 1), *conv(192, 10, 1)),
        *(nn.MaxPool2d(6), nn.Flatten()),
    )


class Block(nn.Module):
    """Two convolutions with norms, and what goes around them: channels of zeros, or a convolution with a norm."""

    def __init__(self, channels, width, stride=1, *, projection=False):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.stride, self.more, self.around = stride, width - channels, None
        if projection and (stride > 1 or width != channels):
            self.around = nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        f = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.around is not None:
            return F.relu(f + self.around(x))
        return F.relu(f + F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more)))


def resnet_20():
    """akamaster/pytorch_resnet_cifar10, resnet.py, option A. He et al., 2016."""
    widths = [(16, 16, 1)] * 3 + [(16, 32, 2), (32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 1)]
    stem = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
    return nn.Sequential(*stem, *(Block(*each) for each in widths), nn.MaxPool2d(8), nn.Flatten(), nn.Linear(64, 10))


def resnet_18():
    """kuangliu/pytorch-cifar, models/resnet.py."""
    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
    widths += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
    stem = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()
    blocks = (Block(*each, projection=True) for each in widths)
    return nn.Sequential(*stem, *blocks, nn.MaxPool2d(4), nn.Flatten(), nn.Linear(512, 10))


class Dense(nn.Module):
    """A layer of a DenseNet-BC: what comes in, and 12 channels more."""

    def __init__(self, channels):
        super().__init__()
        self.grown = nn.Sequential(
            *(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 48, 1, bias=False)),
            *(nn.BatchNorm2d(48), nn.ReLU(), nn.Conv2d(48, 12, 3, padding=1, bias=False)),
        )

    def forward(self, x):
        return torch.cat([x, self.grown(x)], 1)


def densenet_100_12():
    """liuzhuang13/DenseNet: DenseNet-BC of 100 layers that grows by 12. Huang et al., 2017."""
    layers = [nn.Conv2d(3, 24, 3, padding=1, bias=False)]
    channels = 24
    for stage in range(3):
        for _ in range(16):
            layers.append(Dense(channels))
            channels += 12
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if stage < 2:
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.MaxPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, nn.MaxPool2d(8), nn.Flatten(), nn.Linear(channels, 10))


def mobilenet():
    """kuangliu/pytorch-cifar, models/mobilenet.py. Howard et al., 2017."""
    layers = [nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    channels = 32
    widths = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for width, stride in widths:
        layers += [nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False)]
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        layers += [nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 10))


class Siamese(nn.Module):
    """Two views of one sample through one tower; what differs is classified. Bromley et al., 1993."""

    def __init__(self):
        super().__init__()
        self.views = nn.ModuleList(nn.Linear(64, 32, bias=False) for _ in range(2))
        self.tower = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 8))
        self.end = nn.Linear(8, 3)

    def forward(self, x):
        one, other = (self.tower(view(x)) for view in self.views)
        return self.end(one - other)


class TwoBranches(nn.Module):
    """The "complex" template of the builder ENNUI: two convolutions that read the input, joined as features."""

    def __init__(self):
        super().__init__()
        self.pooled = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.normed = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten())
        self.end = nn.Sequential(nn.Linear(16 * 14 * 14 + 16 * 28 * 28, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        return self.end(torch.cat([self.pooled(x), self.normed(x)], 1))


class Mixer(nn.Module):
    """Steps of a sequence through a gate and a feed-forward part, each with a skip; a stand-in for a transformer."""

    def __init__(self):
        super().__init__()
        self.gate, self.value, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.grow, self.shrink = nn.Linear(8, 32), nn.Linear(32, 8)
        self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(2))

    def forward(self, x):
        first, second = self.norms
        y = first(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.out(self.gate(y).softmax(-1) * self.value(y))
        y = second(x.transpose(1, 2)).transpose(1, 2)
        return x + self.shrink(F.relu(self.grow(y)))


def odd_windows():
    """Every option of a convolution but groups: rectangles, strides, padding, distances."""
    return nn.Sequential(
        *(nn.Conv2d(2, 6, (5, 3), stride=(2, 1), padding=(1, 2)), nn.ReLU()),
        *(nn.Conv2d(6, 10, 3, dilation=2), nn.ReLU()),
        *(nn.Conv2d(10, 7, (1, 4), bias=False), nn.Flatten(), nn.Linear(7 * 5 * 10, 5)),
    )


def nielsen():
    """mnielsen/neural-networks-and-deep-learning, chapter 1."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10))


NETWORKS = {
    "keras-mnist-convnet": (keras_mnist_convnet, (1, 28, 28)),
    "keras-mnist-mlp": (keras_mnist_mlp, (1, 28, 28)),
    "tensorflow-quickstart": (tensorflow_quickstart, (1, 28, 28)),
    "pytorch-mnist": (pytorch_mnist_example, (1, 28, 28)),
    "tensorflow-cifar10-tutorial": (tensorflow_cifar_tutorial, (3, 32, 32)),
    "torchinfo example": (torchinfo_example, (1, 28, 28)),
    "caffe-lenet": (caffe_lenet, (1, 28, 28)),
    "pytorch-cifar10-tutorial": (pytorch_cifar_tutorial, (3, 32, 32)),
    "keras-cifar10-cnn": (keras_cifar10_cnn, (3, 32, 32)),
    "vgg16-bn": (vgg16_bn, (3, 32, 32)),
    "25-million-images": (twenty_five_million_images, (1, 28, 28)),
    "all-cnn-c": (all_cnn_c, (3, 32, 32)),
    "resnet-20": (resnet_20, (3, 32, 32)),
    "resnet-18": (resnet_18, (3, 32, 32)),
    "densenet-bc-100-12": (densenet_100_12, (3, 32, 32)),
    "mobilenet": (mobilenet, (3, 32, 32)),
    "nielsen": (nielsen, (1, 28, 28)),
    "ennui-branches": (TwoBranches, (1, 28, 28)),
    "siamese": (Siamese, (64,)),
    "encoder": (lambda: nn.Sequential(Mixer(), Mixer(), nn.Flatten(), nn.Linear(128, 4)), (16, 8)),
    "odd windows": (odd_windows, (2, 20, 15)),
}


def counted(name, make, shape):
    """Of one sample: trained numbers, FLOPs of the way forward, and of both ways.

    PyTorch does not count what is recurrent: null.
    """
    torch.manual_seed(0)
    network = make()
    inputs = torch.randint(0, 50, (BATCH, *shape)) if name in TOKENS else torch.rand(BATCH, *shape)
    with FlopCounterMode(display=False) as forward:
        outputs = network(inputs)
    with FlopCounterMode(display=False) as both:
        F.cross_entropy(network(inputs), torch.zeros(BATCH, dtype=torch.long)).backward()
    assert forward.get_total_flops() % BATCH == both.get_total_flops() % BATCH == 0 and outputs.ndim == 2
    kinds = {type(each) for each in network.modules()}
    return {
        "parameters": sum(each.numel() for each in network.parameters()),
        "flops_forward": None if kinds & {Last, nn.LSTM} else forward.get_total_flops() // BATCH,
        "flops_forward_backward": None if kinds & {Last, nn.LSTM} else both.get_total_flops() // BATCH,
    }


if __name__ == "__main__":
    found = {name: counted(name, make, shape) for name, (make, shape) in {**NETWORKS, **MORE}.items()}
    DATA.write_text(json.dumps({"torch": torch.__version__.partition("+")[0], "networks": found}, indent=1) + "\n")
