"""`lamina serve`: gunicorn with one threaded worker. Its master never imports JAX: a fork after that can hang."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
import sqlite3
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger

from backend.config import ConfigError, Settings
from backend.connections import RESERVE
from backend.damage import Damaged, require_whole
from backend.deaths import Deaths
from backend.master import Master
from backend.schema import UnknownSchema
from backend.state_lock import NoDirectory, StateInUse, own
from backend.store import STORE_FILE, Store
from backend.worker import Worker

log = logging.getLogger("lamina.server")

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

# The master kills a worker that has not ended by then. Closing the runs takes at most 8 seconds of it.
GRACEFUL_SECONDS = 9
# How long a worker outlives a master that was killed, and some.
PREDECESSOR_SECONDS = 2.0
SPARE_CONNECTIONS = 512
# A worker whose main loop is silent for so long hangs. The loop serves no requests, so long ones do not count.
HANG_SECONDS = 300


def serve(settings: Settings, *, stop_with_parent: bool = False) -> NoReturn:
    """Serves until SIGTERM or Ctrl-C, then leaves by SystemExit(0). Raises ConfigError when it cannot start.

    `stop_with_parent`: also stop when the process that started this one is gone.
    """
    configure_logging(settings.log_level)
    listener = listen(settings.host, settings.port)
    check_access(settings, listener)
    check_state_dir(settings.state_dir)
    deaths = Deaths(settings.state_dir)
    application = Application(settings, listener, deaths)
    Master(application, deaths=deaths, parent=os.getppid() if stop_with_parent else None).run()
    raise SystemExit(0)


def configure_logging(level: str) -> None:
    """One line per record to standard error: the house's from `level`, other libraries' warnings."""
    logging.basicConfig(format=LOG_FORMAT, datefmt=TIME_FORMAT, level=logging.WARNING)
    logging.getLogger("lamina").setLevel(level.upper())


def check_state_dir(state_dir: Path) -> None:
    """Says at once what the worker, which takes the lock for good, would otherwise stumble over. Raises ConfigError."""
    try:
        with own(state_dir, patience=PREDECESSOR_SECONDS):
            require_whole(state_dir / STORE_FILE)
            Store(state_dir / STORE_FILE).close()
    except (StateInUse, NoDirectory) as reason:
        raise ConfigError(f"--state-dir: {reason}") from None
    except (Damaged, UnknownSchema) as reason:
        raise ConfigError(f"--state-dir: in {state_dir}, {reason}") from None
    except (OSError, sqlite3.Error) as reason:
        why = reason.strerror if isinstance(reason, OSError) else reason
        raise ConfigError(f"--state-dir: cannot write to {state_dir} ({why})") from None


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; gunicorn listens on it. Raises ConfigError when the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise ConfigError(f"--host: {host!r} is not an address of this machine") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as reason:
        listener.close()
        if isinstance(reason, PermissionError):
            raise ConfigError(f"--port: {port} may only be used by the system; take one from 1024") from None
        if reason.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"--port: {port} is in use on {host}; stop what listens there or choose another"
            ) from None
        raise ConfigError(f"--host: cannot listen on {host} ({reason.strerror})") from None
    return listener


def is_public(listener: socket.socket) -> bool:
    """Whether others than this machine reach a bound socket."""
    return not ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def check_access(settings: Settings, listener: socket.socket) -> None:
    """Raises ConfigError where the network could train and delete without being asked for a token."""
    if is_public(listener) and not settings.token and not settings.allow_anonymous:
        listener.close()
        raise ConfigError(
            f"--host: {settings.host} is reached by others, and no token is set: set LAMINA_TOKEN to a secret, "
            "listen on 127.0.0.1, or say --allow-anonymous if anyone there may train and delete"
        )


def url_of(listener: socket.socket) -> str:
    """http://host:port of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(settings: Settings, url: str, *, public: bool) -> None:
    log.info("Lamina %s listens at %s", version("lamina"), url)
    log.info("state in %s, data sets in %s", settings.state_dir, settings.data_dir)
    if public and not settings.token:
        log.warning("anyone who reaches %s can train, infer and delete, as --allow-anonymous says", settings.host)


class LineLogger(Logger):
    """gunicorn's own messages in the form of ours."""

    error_fmt = LOG_FORMAT
    datefmt = TIME_FORMAT


class Application(BaseApplication):
    """What gunicorn serves: the Flask application, built in the worker."""

    def __init__(self, settings: Settings, listener: socket.socket, deaths: Deaths) -> None:
        self.settings, self.deaths = settings, deaths
        self.announce = partial(announce, settings, url_of(listener), public=is_public(listener))
        self.descriptor = listener.detach()
        super().__init__()

    def load_config(self) -> None:
        quiet = "debug" if self.settings.log_level == "debug" else "warning"
        options: dict[str, Any] = {
            "bind": f"fd://{self.descriptor}",
            "workers": 1,
            "worker_class": Worker,
            "threads": self.settings.threads + RESERVE,
            # Neither event streams nor idle connections that are kept alive take a thread.
            "worker_connections": self.settings.max_streams + 2 * self.settings.threads + SPARE_CONNECTIONS,
            "keepalive": 30,
            "timeout": HANG_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "preload_app": False,
            "control_socket_disable": True,
            "accesslog": None,  # the application writes one line per request itself
            "errorlog": "-",
            "loglevel": quiet,
            "logger_class": LineLogger,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        try:
            from backend.app import create_app  # imports JAX: only ever in the worker
            from nets.errors import NoDevice
            from nets.platform import require_device
        except (ImportError, RuntimeError) as reason:  # as JAX says that its parts, or the processor, do not fit it
            log.debug("the application cannot be imported", exc_info=True)
            raise AppImportError(f"lamina: cannot start: {reason}") from None
        try:
            require_device()
            self.announce()
            app = create_app(self.settings, deaths=self.deaths)
        except (OSError, sqlite3.Error, StateInUse, NoDirectory, UnknownSchema, Damaged) as reason:
            log.debug("the application does not start", exc_info=True)
            raise AppImportError(f"lamina: cannot start from {self.settings.state_dir}: {reason}") from None
        except NoDevice as reason:
            raise AppImportError(f"lamina: {reason}") from None
        log.info("ready")
        return app
