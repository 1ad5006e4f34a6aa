"""`lamina serve`: gunicorn with one threaded worker. Its master never imports JAX: a fork after that can hang."""

from __future__ import annotations

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
from backend.events.capacity import DOWNLOADS
from backend.server.connections import RESERVE
from backend.server.listening import close, is_public, listen, urls
from backend.server.master import Master
from backend.server.worker import Worker
from backend.state.deaths import Deaths
from backend.state.directory import NoDirectory, require_directory
from backend.state.integrity import Damaged, require_whole
from backend.state.lock import StateInUse, own
from backend.state.schema import UnknownSchema
from backend.state.store import STORE_FILE, Store

log = logging.getLogger("lamina.server")

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

# The master kills a worker that has not ended by then. Closing the runs takes at most 8 seconds of it.
GRACEFUL_SECONDS = 9
# How long a worker outlives a master that was killed, and some.
PREDECESSOR_SECONDS = 2.0
SPARE_CONNECTIONS = 512
# Longer than the 60 s of common balancers: who closes first must not be the one that the next request is sent to.
KEEP_ALIVE_SECONDS = 75
# A worker whose main loop is silent for so long hangs. The loop serves no requests, so long ones do not count.
HANG_SECONDS = 300


def serve(settings: Settings, *, stop_with_parent: bool = False) -> NoReturn:
    """Serves until SIGTERM or Ctrl-C, then leaves by SystemExit(0). Raises ConfigError when it cannot start.

    `stop_with_parent`: also stop when the process that started this one is gone.
    """
    configure_logging(settings.log_level)
    listeners = listen(settings.host, settings.port)
    check_access(settings, listeners)
    check_state_dir(settings.state_dir)
    check_data_dir(settings.data_dir)
    deaths = Deaths(settings.state_dir)
    application = Application(settings, listeners, deaths)
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


def check_data_dir(data_dir: Path) -> None:
    """It may be missing; what stands in its place would be found out by the first run. Raises ConfigError."""
    try:
        require_directory(data_dir)
    except NoDirectory as reason:
        raise ConfigError(f"--data-dir: {reason}") from None


def check_access(settings: Settings, listeners: list[socket.socket]) -> None:
    """Raises ConfigError where the network could train and delete without being asked for a token."""
    if is_public(listeners) and not settings.token and not settings.allow_anonymous:
        close(listeners)
        raise ConfigError(
            f"--host: others can reach {settings.host}, and no token is set: set LAMINA_TOKEN to a secret, "
            "listen on 127.0.0.1, or add --allow-anonymous if everyone may train and delete"
        )


def announce(settings: Settings, at: str, *, public: bool) -> None:
    log.info("Lamina %s listens at %s", version("lamina"), at)
    log.info("state in %s, data sets in %s", settings.state_dir, settings.data_dir)
    if public and not settings.token:
        log.warning(
            "everyone who reaches %s can train, predict and delete, because of --allow-anonymous", settings.host
        )


class LineLogger(Logger):
    """gunicorn's own messages in the form of ours."""

    error_fmt = LOG_FORMAT
    datefmt = TIME_FORMAT

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Errors by their kind: the words of some are what a client sent, with its token."""
        super().debug(msg, *(type(arg).__name__ if isinstance(arg, Exception) else arg for arg in args), **kwargs)


class Application(BaseApplication):
    """What gunicorn serves: the Flask application, built in the worker."""

    def __init__(self, settings: Settings, listeners: list[socket.socket], deaths: Deaths) -> None:
        self.settings, self.deaths = settings, deaths
        self.announce = partial(announce, settings, urls(listeners), public=is_public(listeners))
        self.descriptors = [each.detach() for each in listeners]
        super().__init__()

    def load_config(self) -> None:
        quiet = "debug" if self.settings.log_level == "debug" else "warning"
        options: dict[str, Any] = {
            "bind": [f"fd://{each}" for each in self.descriptors],
            "workers": 1,
            "worker_class": Worker,
            "threads": self.settings.threads + RESERVE,
            # Neither event streams, downloads nor idle connections that are kept alive take a thread.
            "worker_connections": self.settings.max_streams + DOWNLOADS + 2 * self.settings.threads + SPARE_CONNECTIONS,
            "keepalive": KEEP_ALIVE_SECONDS,
            "timeout": HANG_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "preload_app": False,
            "limit_request_line": 8190,  # the most that gunicorn knows: a stream may name many runs
            # No header moves the root or the scheme: whoever asks from this machine counts as a proxy for gunicorn.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "control_socket_disable": True,
            "accesslog": None,  # the application writes one line per request itself
            "pre_request": lambda worker, request: None,  # gunicorn's logs the path, with whatever is in it
            "errorlog": "-",
            "loglevel": quiet,
            "logger_class": LineLogger,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        try:
            from backend.services import start  # imports JAX: only ever in the worker
            from backend.web.app import create_app
            from nets.errors import NoDevice
            from nets.process.device import require_device
        except (ImportError, RuntimeError) as reason:  # as JAX says that its parts, or the processor, do not fit it
            log.debug("the application cannot be imported", exc_info=True)
            raise AppImportError(f"lamina: cannot start: {reason}") from None
        try:
            require_device()
            self.announce()
            app = create_app(start(self.settings, deaths=self.deaths))
        except (OSError, sqlite3.Error, StateInUse, NoDirectory, UnknownSchema, Damaged) as reason:
            log.debug("the application does not start", exc_info=True)
            raise AppImportError(f"lamina: cannot start from {self.settings.state_dir}: {reason}") from None
        except NoDevice as reason:
            raise AppImportError(f"lamina: {reason}") from None
        log.info("ready")
        return app
