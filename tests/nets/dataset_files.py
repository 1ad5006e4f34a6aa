"""Small files in the real formats of the data sets, a loopback server that hands them out, and the registry to match."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np

from nets.datasets.base import DATASETS, Arrays
from nets.datasets.formats import CIFAR_FILES, IDX_FILES, LETTER_FILES
from nets.datasets.sources import RemoteFile

TRAIN, TEST = 40, 20


def arrays(name: str, *, train: int = TRAIN, test: int = TEST) -> Arrays:
    """Random images of the data set's shape, labels that go round its classes."""
    info, rng = DATASETS[name], np.random.default_rng(len(name))
    return Arrays(
        rng.integers(0, 256, (train, *info.shape), dtype=np.uint8),
        np.arange(train, dtype=np.uint8) % len(info.classes),
        rng.integers(0, 256, (test, *info.shape), dtype=np.uint8),
        np.arange(test, dtype=np.uint8) % len(info.classes),
    )


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def idx_gz(data: Arrays) -> list[bytes]:
    parts = (data.train_images[..., 0], data.train_labels, data.test_images[..., 0], data.test_labels)
    return [gzip.compress(idx(part), mtime=0) for part in parts]


def letters_zip(data: Arrays) -> bytes:
    """EMNIST's archive as NIST publishes it: images on their side, labels from 1."""
    sideways = Arrays(
        data.train_images.swapaxes(1, 2), data.train_labels + 1, data.test_images.swapaxes(1, 2), data.test_labels + 1
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("gzip/emnist-byclass-mapping.txt", "0 48")
        for name, content in zip(LETTER_FILES, idx_gz(sideways), strict=True):
            archive.writestr(name, content)
    return file.getvalue()


def cifar_tar(data: Arrays) -> bytes:
    batches = [*zip(np.split(data.train_images, 5), np.split(data.train_labels, 5), strict=True)]
    batches.append((data.test_images, data.test_labels))
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, (images, labels) in reversed([*zip(CIFAR_FILES, batches, strict=True)]):
            pixels = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
            content = np.column_stack([labels, pixels]).astype(np.uint8).tobytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def published(name: str, data: Arrays) -> dict[str, bytes]:
    """The files that the data set's publisher offers, by name."""
    if name == "emnist":
        return {"gzip.zip": letters_zip(data)}
    if name == "cifar10":
        return {"cifar-10-binary.tar.gz": cifar_tar(data)}
    return dict(zip(IDX_FILES, idx_gz(data), strict=True))


def inside(name: str, data: Arrays) -> dict[str, bytes]:
    """What somebody has who has unpacked those files, by path."""
    if name == "cifar10":
        with tarfile.open(fileobj=io.BytesIO(cifar_tar(data))) as archive:
            members = [(member.name, archive.extractfile(member)) for member in archive]
            return {part: file.read() for part, file in members if file is not None}
    if name == "emnist":
        with zipfile.ZipFile(io.BytesIO(letters_zip(data))) as zipped:
            return {part.removesuffix(".gz"): gzip.decompress(zipped.read(part)) for part in LETTER_FILES}
    return {part.removesuffix(".gz"): gzip.decompress(content) for part, content in published(name, data).items()}


def registered(files: dict[str, bytes], base: str) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(f"{base}/{file}", len(content), hashlib.sha256(content).hexdigest(), file)
        for file, content in files.items()
    )


@dataclass
class Host:
    """A loopback HTTP server. files: what it offers; asked: the paths requested so far."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Host]:
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.append(self.path)
            content = host.files.get(Path(self.path).name)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
