"""More public networks in PyTorch, written by hand from the sources that `nets/examples` names; needs PyTorch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """f(x) plus x, or plus a shortcut of x."""

    def __init__(self, *layers, shortcut=None):
        super().__init__()
        self.f = nn.Sequential(*layers)
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x):
        return self.f(x) + self.shortcut(x)


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def conv(channels, width, size, **fields):
    return nn.Conv2d(channels, width, size, **{"padding": size // 2, "bias": False, **fields})


def normed(layer):
    return layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU()


def mean(width, classes=10):
    """The mean over an image, and logits."""
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)


def flax_mnist():
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.Dropout(0.025), nn.BatchNorm2d(32), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(3136, 256), nn.Dropout(0.025), nn.ReLU(), nn.Linear(256, 10)),
    )


def ennui_resnet():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        *(Residual(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)), nn.ReLU()),
        *(Residual(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(16 * 784, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10)),
    )


def pytorch_quickstart():
    hidden = nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(512, 10))


def resnet_50():
    layers, channels = [*normed(conv(3, 64, 3))], 64
    for planes, stride, times in ((64, 1, 3), (128, 2, 4), (256, 2, 6), (512, 2, 3)):
        for step in (stride, *[1] * (times - 1)):
            f = (*normed(conv(channels, planes, 1)), *normed(conv(planes, planes, 3, stride=step)))
            f = (*f, conv(planes, 4 * planes, 1), nn.BatchNorm2d(4 * planes))
            around = conv(channels, 4 * planes, 1, stride=step), nn.BatchNorm2d(4 * planes)
            changes = step > 1 or channels != 4 * planes
            layers += [Residual(*f, shortcut=nn.Sequential(*around) if changes else None), nn.ReLU()]
            channels = 4 * planes
    return nn.Sequential(*layers, *mean(channels))


def preact_resnet_18():
    layers, channels = [conv(3, 64, 3)], 64
    for width, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        start = nn.BatchNorm2d(channels), nn.ReLU()
        f = conv(channels, width, 3, stride=stride), nn.BatchNorm2d(width), nn.ReLU(), conv(width, width, 3)
        if stride > 1:
            layers += [*start, Residual(*f, shortcut=conv(channels, width, 1, stride=stride))]
        else:
            layers.append(Residual(*start, *f))
        channels = width
    return nn.Sequential(*layers, *mean(512))


def mobilenet_v2():
    layers, channels = [*normed(conv(3, 32, 3))], 32
    stages = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, width, times, first in stages:
        for stride in (first, *[1] * (times - 1)):
            inner = expansion * channels
            depthwise = conv(inner, inner, 3, stride=stride, groups=inner)
            f = (*normed(conv(channels, inner, 1)), *normed(depthwise), conv(inner, width, 1), nn.BatchNorm2d(width))
            around = None
            if channels != width and stride == 1:
                around = nn.Sequential(conv(channels, width, 1), nn.BatchNorm2d(width))
            layers.append(Residual(*f, shortcut=around) if stride == 1 else nn.Sequential(*f))
            channels = width
    return nn.Sequential(*layers, *normed(conv(320, 1280, 1)), *mean(1280))


class Inception(nn.Module):
    def __init__(self, channels, a, b_narrow, b, c_narrow, c, pooled):
        super().__init__()

        def part(*widths):
            return [
                each
                for first, width, size in widths
                for each in normed(nn.Conv2d(first, width, size, padding=size // 2))
            ]

        self.branches = nn.ModuleList(
            nn.Sequential(*layers)
            for layers in (
                part((channels, a, 1)),
                part((channels, b_narrow, 1), (b_narrow, b, 3)),
                part((channels, c_narrow, 1), (c_narrow, c, 3), (c, c, 3)),
                [nn.MaxPool2d(3, 1, 1), *part((channels, pooled, 1))],
            )
        )

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def googlenet():
    first = nn.Conv2d(3, 192, 3, padding=1), nn.BatchNorm2d(192), nn.ReLU()
    return nn.Sequential(
        *(*first, Inception(192, 64, 96, 128, 16, 32, 32), Inception(256, 128, 128, 192, 32, 96, 64)),
        *(nn.MaxPool2d(3, 2, 1), Inception(480, 192, 96, 208, 16, 48, 64), Inception(512, 160, 112, 224, 24, 64, 64)),
        *(Inception(512, 128, 128, 256, 24, 64, 64), Inception(512, 112, 144, 288, 32, 64, 64)),
        *(Inception(528, 256, 160, 320, 32, 128, 128), nn.MaxPool2d(3, 2, 1)),
        *(Inception(832, 256, 160, 320, 32, 128, 128), Inception(832, 384, 192, 384, 48, 128, 128), *mean(1024)),
    )


def network_in_network():
    def block(*widths):
        return [each for sizes in widths for each in (nn.Conv2d(*sizes[:3], padding=sizes[2] // 2), nn.ReLU())]

    return nn.Sequential(
        *(*block((3, 192, 5), (192, 160, 1), (160, 96, 1)), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(0.5)),
        *(*block((96, 192, 5), (192, 192, 1), (192, 192, 1)), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Dropout(0.5)),
        *(*block((192, 192, 3), (192, 192, 1), (192, 10, 1)), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def resnet_56():
    layers, channels = [*normed(conv(3, 16, 3))], 16
    for width in (16, 32, 64):
        for number in range(9):
            stride = 2 if width > 16 and number == 0 else 1
            more = width - channels
            f = *normed(conv(channels, width, 3, stride=stride)), conv(width, width, 3), nn.BatchNorm2d(width)
            zeros = Of(lambda x, more=more: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, more)))
            layers += [Residual(*f, shortcut=zeros if stride > 1 else None), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers, *mean(64))


class Grown(nn.Module):
    """What comes in, and 12 channels more."""

    def __init__(self, channels):
        super().__init__()
        self.f = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv(channels, 12, 3), nn.Dropout(0.2))

    def forward(self, x):
        return torch.cat([x, self.f(x)], 1)


def densenet_40_12():
    layers, channels = [conv(3, 16, 3)], 16
    for stage in range(3):
        layers += [Grown(channels + 12 * number) for number in range(12)]
        channels += 144
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        layers += [conv(channels, channels, 1), nn.AvgPool2d(2)] if stage < 2 else []
    return nn.Sequential(*layers, *mean(channels))


def airbench94():
    layers, channels = [nn.Conv2d(3, 24, 2), nn.GELU()], 24
    for width in (64, 256, 256):
        layers += [conv(channels, width, 3), nn.MaxPool2d(2), nn.BatchNorm2d(width), nn.GELU()]
        layers += [conv(width, width, 3), nn.BatchNorm2d(width), nn.GELU()]
        channels = width
    return nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False), Of(lambda x: x / 9))


def convmixer():
    def block():
        mixed = nn.Conv2d(256, 256, 5, groups=256, padding="same"), nn.GELU(), nn.BatchNorm2d(256)
        return Residual(*mixed), nn.Conv2d(256, 256, 1), nn.GELU(), nn.BatchNorm2d(256)

    start = nn.Conv2d(3, 256, 2, stride=2), nn.GELU(), nn.BatchNorm2d(256)
    return nn.Sequential(*start, *(each for _ in range(8) for each in block()), *mean(256))


class Attention(nn.Module):
    """Of queries, keys and values that are one sequence. inner: features of all heads."""

    def __init__(self, width, heads, inner=None, *, bias=True, causal=False):
        super().__init__()
        self.heads, self.causal, inner = heads, causal, inner or width
        self.q, self.k, self.v = (nn.Linear(width, inner, bias=bias) for _ in range(3))
        self.out = nn.Linear(inner, width, bias=bias)

    def forward(self, x):
        q, k, v = (each(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for each in (self.q, self.k, self.v))
        scores = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5  # written out: of the fused form nothing is counted
        if self.causal:
            scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Patches(nn.Module):
    """A linear layer of each patch, as a sequence."""

    def __init__(self, size, width):
        super().__init__()
        self.project = nn.Conv2d(3, width, size, size)

    def forward(self, x):
        return self.project(x).flatten(2).transpose(1, 2)


class Positions(nn.Module):
    """A trained vector for each step; in front of them one more that is no step, where `token` says so."""

    def __init__(self, length, width, *, token=False):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, width)) if token else None
        self.positions = nn.Parameter(torch.zeros(1, length + token, width))

    def forward(self, x):
        if self.token is not None:
            x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        return x + self.positions


def mlp(*widths, bias=True):
    linear = [nn.Linear(*pair, bias=bias) for pair in zip(widths[:-1], widths[1:], strict=True)]
    return [each for layer in linear for each in (layer, nn.GELU())]


def keras_vit():
    layers = [Patches(6, 64), Positions(144, 64)]
    for _ in range(8):
        layers += [Residual(nn.LayerNorm(64), Attention(64, 4, 256)), Residual(nn.LayerNorm(64), *mlp(64, 128, 64))]
    return nn.Sequential(*layers, nn.LayerNorm(64), nn.Flatten(), *mlp(9216, 2048, 1024), nn.Linear(1024, 100))


def vit_cifar10():
    layers = [Patches(4, 512), Positions(64, 512, token=True)]
    for _ in range(6):
        f = mlp(512, 512, 512)[:-1]
        layers += [Residual(nn.LayerNorm(512), Attention(512, 8)), Residual(nn.LayerNorm(512), *f)]
    return nn.Sequential(*layers, Of(lambda x: x[:, 0]), nn.LayerNorm(512), nn.Linear(512, 10))


def turned():
    return Of(lambda x: x.transpose(1, 2))


def mlp_mixer_cifar10():
    layers = [Patches(4, 512)]
    for _ in range(6):
        layers += [Residual(nn.LayerNorm(512), turned(), *mlp(64, 256, 64)[:-1], turned())]
        layers += [Residual(nn.LayerNorm(512), *mlp(512, 256, 512)[:-1])]
    return nn.Sequential(*layers, nn.LayerNorm(512), Of(lambda x: x.mean(1)), nn.Linear(512, 10))


def keras_mlp_mixer():
    layers = [Patches(8, 256)]
    for _ in range(4):
        layers += [Residual(nn.LayerNorm(256), turned(), *mlp(64, 64, 64)[:-1], turned())]
        layers += [Residual(nn.LayerNorm(256), *mlp(256, 64, 256)[:-1])]
    return nn.Sequential(*layers, Of(lambda x: x.mean(1)), nn.Linear(256, 100))


class Weighed(nn.Module):
    """The mean of all steps, weighed by softmax."""

    def __init__(self):
        super().__init__()
        self.scores = nn.Linear(128, 1)

    def forward(self, x):
        return (self.scores(x).softmax(1).transpose(1, 2) @ x).flatten(1)


def keras_cct():
    layers = []
    for first, width in ((3, 64), (64, 128)):
        layers += [nn.Conv2d(first, width, 3, bias=False), nn.ReLU(), nn.ZeroPad2d(1), nn.MaxPool2d(3, 2, 1)]
    layers += [Of(lambda x: x.flatten(2).transpose(1, 2)), Positions(64, 128)]
    for _ in range(2):
        layers += [Residual(nn.LayerNorm(128), Attention(128, 2, 256))]
        layers += [Residual(nn.LayerNorm(128), *mlp(128, 128, 128))]
    return nn.Sequential(*layers, nn.LayerNorm(128), Weighed(), nn.Linear(128, 10))


def gpt(layers, heads, width, context):
    def block():
        norms = (nn.LayerNorm(width, bias=False) for _ in range(2))
        attention = Attention(width, heads, bias=False, causal=True)
        f = mlp(width, 4 * width, width, bias=False)[:-1]
        return Residual(next(norms), attention), Residual(next(norms), *f)

    start = nn.Embedding(65, width), Positions(context, width)
    blocks = (each for _ in range(layers) for each in block())
    return nn.Sequential(*start, *blocks, nn.LayerNorm(width, bias=False), last(), nn.Linear(width, 65, bias=False))


def last():
    return Of(lambda x: x[:, -1])


def post_norm(width, heads, inner, hidden, *, causal=False):
    """A block whose norms stand behind its sums."""
    f = nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width)
    attention = Attention(width, heads, inner, causal=causal)
    return Residual(attention), nn.LayerNorm(width), Residual(*f), nn.LayerNorm(width)


def miniature_gpt():
    start = nn.Embedding(20000, 256), Positions(100, 256)
    return nn.Sequential(*start, *post_norm(256, 2, 256, 256, causal=True), last(), nn.Linear(256, 20000))


def text_transformer():
    start = nn.Embedding(20000, 32), Positions(200, 32)
    end = Of(lambda x: x.mean(1)), nn.Linear(32, 20), nn.ReLU(), nn.Linear(20, 2)
    return nn.Sequential(*start, *post_norm(32, 2, 64, 32), *end)


class Last(nn.Module):
    """What a recurrent layer has after the last step; of one that reads both ways, after the last of either."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        _, state = self.layer(x)
        state = state[0] if isinstance(state, tuple) else state
        return state[-2:].transpose(0, 1).flatten(1) if self.layer.bidirectional else state[-1]


def lstm(*sizes, **fields):
    return Last(nn.LSTM(*sizes, batch_first=True, **fields))


def mnist_rnn():
    end = nn.BatchNorm1d(64), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    return nn.Sequential(nn.Flatten(1, 2), lstm(28, 64), *end)


class Hierarchical(nn.Module):
    def __init__(self):
        super().__init__()
        self.row, self.rows, self.end = lstm(1, 128), lstm(128, 128), nn.Linear(128, 10)

    def forward(self, x):
        rows = self.row(x.reshape(-1, 28, 1)).reshape(-1, 28, 128)
        return self.end(self.rows(rows))


def irnn():
    reads = Last(nn.RNN(1, 100, nonlinearity="relu", batch_first=True))
    return nn.Sequential(Of(lambda x: x.reshape(-1, 784, 1)), reads, nn.Linear(100, 10))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        hidden = nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()
        self.tower, self.end = nn.Sequential(nn.Flatten(), *hidden), nn.Linear(128, 2)

    def forward(self, x):
        return self.end((self.tower(x[:, :1]) - self.tower(x[:, 1:])) ** 2)


def steps(layer):
    """A layer of channels of steps, for steps of features."""
    return turned(), layer, turned()


def fasttext():
    return nn.Sequential(nn.Embedding(20000, 50), Of(lambda x: x.mean(1)), nn.Linear(50, 2))


def text_convolution():
    convs = nn.Conv1d(128, 128, 7, stride=3), nn.ReLU(), nn.Conv1d(128, 128, 7, stride=3), nn.ReLU()
    end = Of(lambda x: x.amax(2)), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2)
    return nn.Sequential(nn.Embedding(20000, 128), turned(), *convs, *end)


def cnn_lstm():
    seen = steps(nn.Sequential(nn.Conv1d(128, 64, 5), nn.ReLU(), nn.MaxPool1d(4)))
    return nn.Sequential(nn.Embedding(20000, 128), *seen, lstm(64, 70), nn.Linear(70, 2))


def bilstm():
    reads = lstm(128, 64, num_layers=2, bidirectional=True)
    return nn.Sequential(nn.Embedding(20000, 128), reads, nn.Linear(128, 2))


def forda():
    layers, channels = [turned()], 1
    for _ in range(3):
        layers += [nn.Conv1d(channels, 64, 3, padding=1), nn.BatchNorm1d(64), nn.ReLU()]
        channels = 64
    return nn.Sequential(*layers, Of(lambda x: x.mean(2)), nn.Linear(64, 2))


def reuters():
    return nn.Sequential(nn.Linear(10000, 256), nn.ReLU(), nn.BatchNorm1d(256), nn.Dropout(0.5), nn.Linear(256, 46))


def iris():
    return nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 3))


def wine():
    return nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))


def mnist_lenet(first, second, dense):
    """`mnist-fast` and `mnist-accurate`."""
    return nn.Sequential(
        *normed(nn.Conv2d(1, first, 5, bias=False)),
        nn.MaxPool2d(2),
        *normed(nn.Conv2d(first, second, 5, bias=False)),
        nn.MaxPool2d(2),
        *mnist_end(16 * second, dense),
    )


def mnist_best():
    layers, before = [], 1
    for width in (16, 32, 64):
        for _ in range(2):
            layers += normed(nn.Conv2d(before, width, 3, padding=1, bias=False))
            before = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, *mnist_end(9 * 64, 128))


def mnist_end(features, dense):
    return [
        nn.Flatten(),
        nn.Linear(features, dense, bias=False),
        nn.BatchNorm1d(dense),
        nn.ReLU(),
        nn.Linear(dense, 10),
    ]


SMALL, COLOURS = (1, 28, 28), (3, 32, 32)
NETWORKS = {
    "mnist-fast": (lambda: mnist_lenet(8, 16, 64), SMALL),
    "mnist-accurate": (lambda: mnist_lenet(16, 32, 128), SMALL),
    "mnist-best": (mnist_best, SMALL),
    "flax-mnist": (flax_mnist, SMALL),
    "ennui-resnet": (ennui_resnet, SMALL),
    "pytorch-quickstart": (pytorch_quickstart, SMALL),
    "resnet-50": (resnet_50, COLOURS),
    "preact-resnet-18": (preact_resnet_18, COLOURS),
    "mobilenet-v2": (mobilenet_v2, COLOURS),
    "googlenet": (googlenet, COLOURS),
    "network-in-network": (network_in_network, COLOURS),
    "resnet-56": (resnet_56, COLOURS),
    "densenet-40-12": (densenet_40_12, COLOURS),
    "airbench94": (airbench94, COLOURS),
    "convmixer-256-8": (convmixer, COLOURS),
    "keras-vit": (keras_vit, (3, 72, 72)),
    "vit-cifar10": (vit_cifar10, COLOURS),
    "mlp-mixer-cifar10": (mlp_mixer_cifar10, COLOURS),
    "keras-mlp-mixer": (keras_mlp_mixer, (3, 64, 64)),
    "keras-cct": (keras_cct, COLOURS),
    "nanogpt-shakespeare": (lambda: gpt(6, 6, 384, 256), (256,)),
    "nanogpt-cpu": (lambda: gpt(4, 4, 128, 64), (64,)),
    "keras-miniature-gpt": (miniature_gpt, (100,)),
    "keras-text-transformer": (text_transformer, (200,)),
    "pytorch-mnist-rnn": (mnist_rnn, SMALL),
    "keras-hierarchical-rnn": (Hierarchical, SMALL),
    "keras-irnn": (irnn, SMALL),
    "keras-siamese": (Siamese, (2, 28, 28)),
    "keras-fasttext": (fasttext, (400,)),
    "keras-text-convolution": (text_convolution, (500,)),
    "keras-cnn-lstm": (cnn_lstm, (100,)),
    "keras-bilstm": (bilstm, (200,)),
    "keras-forda": (forda, (500, 1)),
    "keras-reuters": (reuters, (10000,)),
    "tensorflow-iris": (iris, (4,)),
    "wine": (wine, (13,)),
}
TOKENS = {
    name
    for name, (_, shape) in NETWORKS.items()
    if len(shape) == 1 and name.startswith(("nano", "keras-")) and name != "keras-reuters"
}
