"""Modules that PyTorch itself does not have, written after torchvision's and the authors' own."""

from collections import OrderedDict

import torch
from torch import nn


class BasicBlock(nn.Module):
    """torchvision, models/resnet.py."""

    def __init__(self, channels, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = around(channels, planes, stride)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """torchvision, models/resnet.py."""

    def __init__(self, channels, planes, stride=1, groups=1, expansion=4):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * expansion)
        self.downsample = around(channels, planes * expansion, stride)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def around(channels, planes, stride):
    if stride == 1 and channels == planes:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))


class InvertedResidual(nn.Module):
    """torchvision, models/mobilenetv2.py."""

    def __init__(self, channels, planes, stride, expand_ratio, kernel=3, activation=nn.ReLU6):
        super().__init__()
        inner = int(round(channels * expand_ratio))

        def normed(*sizes, **fields):
            return nn.Sequential(nn.Conv2d(*sizes, bias=False, **fields), nn.BatchNorm2d(sizes[1]), activation())

        layers = [] if expand_ratio == 1 else [normed(channels, inner, 1)]
        layers += [normed(inner, inner, kernel, stride=stride, padding=(kernel - 1) // 2, groups=inner)]
        layers += [nn.Conv2d(inner, planes, 1, bias=False), nn.BatchNorm2d(planes)]
        self.conv = nn.Sequential(*layers)
        self.skips = stride == 1 and channels == planes

    def forward(self, x):
        return x + self.conv(x) if self.skips else self.conv(x)


class SqueezeExcitation(nn.Module):
    """torchvision, ops/misc.py."""

    def __init__(self, channels, squeezed, activation=nn.ReLU, scale_activation=nn.Sigmoid):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation, self.scale_activation = activation(), scale_activation()

    def forward(self, x):
        return self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x))))) * x


class DenseLayer(nn.Module):
    """torchvision, models/densenet.py."""

    def __init__(self, channels, growth, bn_size):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, bn_size * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth)
        self.conv2 = nn.Conv2d(bn_size * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(x))))))


class PlainDenseLayer(nn.Module):
    """Without the 1 x 1 convolution, as in the first networks of Huang et al."""

    def __init__(self, channels, growth, bn_size):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv1(torch.relu(self.norm1(x)))


class DenseBlock(nn.ModuleDict):
    """torchvision, models/densenet.py."""

    def __init__(self, layers, channels, growth, bn_size=4):
        kind = DenseLayer if bn_size else PlainDenseLayer
        made = ((f"denselayer{i + 1}", kind(channels + i * growth, growth, bn_size)) for i in range(layers))
        super().__init__(OrderedDict(made))

    def forward(self, x):
        features = [x]
        for layer in self.values():
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


class ConvMixerBlock(nn.Module):
    """locuslab/convmixer, with names."""

    def __init__(self, dim, kernel):
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, kernel, groups=dim, padding="same")
        self.norm1 = nn.BatchNorm2d(dim)
        self.pointwise = nn.Conv2d(dim, dim, 1)
        self.norm2 = nn.BatchNorm2d(dim)

    def forward(self, x):
        x = x + self.norm1(nn.functional.gelu(self.depthwise(x)))
        return self.norm2(nn.functional.gelu(self.pointwise(x)))
