"""The data sets that Lamina knows. Sizes, shapes and names as tensorflow-datasets declares them (a test compares)."""

from __future__ import annotations

import string

from nets.datasets.base import DatasetInfo, register
from nets.spec.values import image

DIGITS = tuple(string.digits)

register(
    DatasetInfo(
        name="mnist",
        title="MNIST",
        description="Handwritten digits, 28x28 grey: the classic first data set.",
        value=image(1, 28, 28),
        classes=DIGITS,
        train_size=60_000,
        test_size=10_000,
        download_mb=11.6,
        bundled=False,
        homepage="http://yann.lecun.com/exdb/mnist/",
    )
)
register(
    DatasetInfo(
        name="fashion_mnist",
        title="Fashion-MNIST",
        description="Zalando's articles of clothing, 28x28 grey: MNIST's format, harder to tell apart.",
        value=image(1, 28, 28),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        train_size=60_000,
        test_size=10_000,
        download_mb=30.9,
        bundled=False,
        homepage="https://github.com/zalandoresearch/fashion-mnist",
    )
)
register(
    DatasetInfo(
        name="kmnist",
        title="Kuzushiji-MNIST",
        description="Ten characters of cursive Japanese (hiragana), 28x28 grey.",
        value=image(1, 28, 28),
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        train_size=60_000,
        test_size=10_000,
        download_mb=21.2,
        bundled=False,
        homepage="http://codh.rois.ac.jp/kmnist/index.html.en",
    )
)
register(
    DatasetInfo(
        name="emnist",
        title="EMNIST Letters",
        description="Handwritten letters A to Z, upper and lower case together, 28x28 grey, turned upright.",
        value=image(1, 28, 28),
        classes=tuple(string.ascii_uppercase),
        train_size=88_800,
        test_size=14_800,
        download_mb=561.8,
        bundled=False,
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
    )
)
register(
    DatasetInfo(
        name="cifar10",
        title="CIFAR-10",
        description="Photographs of animals and vehicles, 32x32 in colour.",
        value=image(3, 32, 32),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        train_size=50_000,
        test_size=10_000,
        download_mb=170.1,
        bundled=False,
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    )
)
register(
    DatasetInfo(
        name="digits",
        title="Digits (bundled)",
        description=(
            "1,797 handwritten digits scanned at 8x8 (scikit-learn), enlarged to 28x28 as MNIST centres them; "
            "360 held out for testing, the others with 20 deformed copies each for training. Needs no network."
        ),
        value=image(1, 28, 28),
        classes=DIGITS,
        train_size=30_177,
        test_size=360,
        download_mb=None,
        bundled=True,
        homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    )
)
