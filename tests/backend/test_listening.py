"""A host name stands for all of its addresses: whichever a client chooses, somebody listens."""

from __future__ import annotations

import socket

import pytest

from backend.config import ConfigError, settings_from
from backend.server.listening import TRIES, close, is_public, listen, urls


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@needs_ipv6
@pytest.mark.parametrize("host", ["localhost", "LocalHost", "localhost."])
def test_localhost_is_both_loopback_addresses_on_one_port(host: str) -> None:
    listeners = listen(host, 0)
    first, second = (each.getsockname()[:2] for each in listeners)
    assert (first[0], second[0]) == ("127.0.0.1", "::1") and first[1] == second[1] > 0
    for address in (first, second):
        socket.create_connection(address, timeout=5).close()
    assert urls(listeners) == f"http://127.0.0.1:{first[1]} and http://[::1]:{first[1]}"
    assert not is_public(listeners)
    close(listeners)


@needs_ipv6
@pytest.mark.parametrize("written", ["[::1]", "::1"])
def test_an_address_may_stand_in_brackets(written: str) -> None:
    host = settings_from({"host": written}, {}).host
    (listener,) = listeners = listen(host, 0)
    assert listener.getsockname()[0] == host == "::1"
    close(listeners)


@needs_ipv6
def test_a_port_that_is_taken_on_one_of_the_addresses_is_taken() -> None:
    """Clients that choose that address would talk to whatever listens there."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--port: {port} is in use on ::1; stop what listens there"):
            listen("localhost", port)
        socket.create_server(("127.0.0.1", port)).close()  # nothing is left bound


def resolver(*addresses: tuple[socket.AddressFamily, str]) -> object:
    return lambda host, port, **_: [(family, 0, 0, "", (name, port)) for family, name in addresses]


def test_addresses_that_the_machine_lacks_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    v4 = socket.AF_INET
    monkeypatch.setattr(socket, "getaddrinfo", resolver((v4, "198.51.100.1"), (v4, "127.0.0.1"), (v4, "203.0.113.1")))
    listeners = listen("somewhere", 0)
    assert [each.getsockname()[0] for each in listeners] == ["127.0.0.1"]
    close(listeners)
    monkeypatch.setattr(socket, "getaddrinfo", resolver((v4, "198.51.100.1"), (v4, "203.0.113.1")))
    with pytest.raises(ConfigError, match=r"--host: cannot listen on 203\.0\.113\.1 \("):
        listen("somewhere", 0)


def test_a_port_of_the_systems_choice_is_free_on_all_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = iter(range(TRIES + 1))

    def taken_twice(self: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "127.0.0.2" and next(tries) < 2:
            raise OSError(98, "Address already in use")
        real(self, address)

    real = socket.socket.bind
    v4 = socket.AF_INET
    monkeypatch.setattr(socket, "getaddrinfo", resolver((v4, "127.0.0.1"), (v4, "127.0.0.2")))
    monkeypatch.setattr(socket.socket, "bind", taken_twice)
    listeners = listen("somewhere", 0)
    assert len({each.getsockname()[1] for each in listeners}) == 1 and len(listeners) == 2
    close(listeners)


def test_answers_are_sent_at_once_on_whatever_connection_comes_first() -> None:
    (listener,) = listeners = listen("127.0.0.1", 0)
    with socket.create_connection(listener.getsockname(), timeout=5):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    close(listeners)
