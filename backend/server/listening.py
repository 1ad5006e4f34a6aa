"""The sockets that a server listens on: one for every address that its host name stands for."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any

from backend.config import ConfigError

BACKLOG = 1024
TRIES = 8  # to find a port that is free on all addresses
ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}  # not an address of this machine
# RFC 6761. /etc/hosts may know one of them only, and browsers and Node may choose the other.
LOCALHOST, LOOPBACKS = "localhost", ("127.0.0.1", "::1")

Address = tuple[socket.AddressFamily, Any]  # of a socket, as bind takes it


def listen(host: str, port: int) -> list[socket.socket]:
    """Bound sockets on one port; gunicorn listens on them. Raises ConfigError when an address cannot be had."""
    addresses = _addresses(host, port)
    for _ in range(TRIES):
        listeners: list[socket.socket] = []
        try:
            if _bind_all(listeners, addresses, host, port):
                return listeners
        except BaseException:
            close(listeners)
            raise
        close(listeners)
    raise ConfigError(f"--port: no port is free on all addresses of {host}; choose one")


def close(listeners: list[socket.socket]) -> None:
    for each in listeners:
        each.close()


def is_public(listeners: list[socket.socket]) -> bool:
    """Whether others than this machine reach one of these bound sockets."""
    names = [each.getsockname()[0].partition("%")[0] for each in listeners]
    return not all(ipaddress.ip_address(name).is_loopback for name in names)


def urls(listeners: list[socket.socket]) -> str:
    """http://host:port of each bound socket, as a sentence lists them."""
    places = (each.getsockname()[:2] for each in listeners)
    return " and ".join(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}" for host, port in places)


def _addresses(host: str, port: int) -> list[Address]:
    names = LOOPBACKS if host.lower().rstrip(".") == LOCALHOST else (host,)
    try:
        found = [
            (family, address)
            for name in names
            for family, _, _, _, address in socket.getaddrinfo(
                name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        ]
    except (socket.gaierror, UnicodeError):
        raise ConfigError(f"--host: {host!r} is not an address of this machine") from None
    return list(dict.fromkeys(found))


def _bind_all(listeners: list[socket.socket], addresses: list[Address], host: str, port: int) -> bool:
    """Bind what this machine has of `addresses`; False where a port that the system chose is taken on another one."""
    chosen = port
    for family, address in addresses:
        place = host if len(addresses) == 1 else str(address[0])
        try:
            listeners.append(_bound(family, (address[0], chosen, *address[2:]), alone=len(addresses) == 1))
        except PermissionError:
            raise ConfigError(f"--port: {port} may only be used by the system; choose 1024 or higher") from None
        except OSError as reason:
            if reason.errno in ABSENT and (listeners or address != addresses[-1][1]):
                continue
            if reason.errno != errno.EADDRINUSE:
                raise ConfigError(f"--host: cannot listen on {place} ({reason.strerror})") from None
            if chosen != port:
                return False
            cure = "stop what listens there or choose another"
            raise ConfigError(f"--port: {port} is in use on {place}; {cure}") from None
        chosen = listeners[0].getsockname()[1]
    return True


def _bound(family: socket.AddressFamily, address: Any, *, alone: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and not alone:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # the other one is IPv4's
        # gunicorn sets it too, but only once connections may be waiting: those would keep each answer for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
