"""Clients that misbehave, each in its own way, as raw sockets; and the server's process as they find and leave it."""

from __future__ import annotations

import ctypes
import socket
import struct
from dataclasses import dataclass

import psutil

from backend.demo.local_server import LocalServer

SO_ATTACH_FILTER = 26  # Linux


def port_of(server: LocalServer) -> int:
    return int(server.client.url.rpartition(":")[2])


def worker_of(server: LocalServer) -> psutil.Process:
    (worker,) = psutil.Process(server.process.pid).children()
    return worker


def connect(port: int, *, receive_buffer: int | None = None) -> socket.socket:
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", port))
    return connection


def subscribe(port: int, path: str, *, receive_buffer: int | None = None) -> socket.socket:
    """A subscriber that has had the first bytes of its stream."""
    connection = connect(port, receive_buffer=receive_buffer)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    connection.recv(64)
    return connection


def reset(connection: socket.socket) -> None:
    """Leave without a farewell: the other side gets a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def fall_silent(connection: socket.socket) -> None:
    """As if the cable were cut: every packet for this socket is dropped before TCP sees it."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0
    program = struct.pack("HL", 1, ctypes.addressof(drop_all))
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    threads: int
    files: int
    megabytes: float

    @classmethod
    def of(cls, process: psutil.Process) -> Footprint:
        return cls(process.num_threads(), process.num_fds(), process.memory_info().rss / 1e6)
