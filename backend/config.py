"""Settings: one table drives the flags, the LAMINA_* environment, --help and backend/README.md."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Kernels = Literal["auto", "products", "xla"]
LOG_LEVELS = ("debug", "info", "warning", "error")


class ConfigError(Exception):
    """A setting that cannot be used: one sentence with the flag or variable, the rule and what came."""


def default_data_dir() -> Path:
    """Beside tensorflow-datasets' own: $TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A reader of integers from `low` to `high`, both included."""

    def read(text: str) -> int:
        rule = f"expected a whole number from {low} to {high}"
        try:
            number = int(text)
        except ValueError:
            raise ValueError(rule) from None
        if not low <= number <= high:
            raise ValueError(rule)
        return number

    return read


def word(*choices: str) -> Callable[[str], str]:
    """A reader of one of `choices`; of any text without spaces when there are none."""

    def read(text: str) -> str:
        if choices and text.lower() not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        if not text or any(character.isspace() for character in text):
            raise ValueError("expected text without spaces")
        return text.lower() if choices else text

    return read


def address(text: str) -> str:
    """A reader of a host name or an address, which may stand in brackets as in a URL."""
    return word()(text[1:-1] if text.startswith("[") and text.endswith("]") else text)


def switch(text: str) -> bool:
    """A reader of yes or no."""
    if text.lower() not in ("yes", "no", "true", "false", "1", "0"):
        raise ValueError("expected yes or no")
    return text.lower() in ("yes", "true", "1")


def names(text: str) -> tuple[str, ...]:
    """A reader of a list with commas, in lower case; empty for none."""
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def secret(text: str) -> str:
    """A reader of printable ASCII without spaces, or of nothing."""
    if not all("!" <= character <= "~" for character in text):
        raise ValueError("expected printable ASCII without spaces")
    return text


def folder(text: str) -> Path:
    """A reader of directories: `~` is expanded, a relative path is taken from the current directory."""
    if "\0" in text:
        raise ValueError("expected a directory")
    return Path(text).expanduser().absolute()


def setting(
    default: object,
    help: str,
    *,
    read: Callable[[str], object],
    metavar: str,
    shown: str | None = None,
    hidden: bool = False,
) -> Any:
    """One row of the table. `default`: as a user would type it, or a function that finds it; `shown`: how it reads.

    hidden: a secret, which is never printed, and handed to child processes by the environment.
    """
    factory = default if callable(default) else lambda: read(str(default))
    metadata = {"help": help, "read": read, "metavar": metavar, "shown": shown or str(default), "hidden": hidden}
    return field(default_factory=factory, metadata=metadata, repr=not hidden)


# This program again, as a child process: by its file, since a name may be somebody else's where the child looks for it.
COMMAND = (sys.executable, "-P", str(Path(__file__).absolute().parent.parent / "lamina.py"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one server runs. Every field is also a flag and an environment variable: flag > environment > default."""

    host: str = setting(
        "127.0.0.1",
        "address to listen on; a name such as localhost means all of its addresses",
        read=address,
        metavar="ADDRESS",
    )
    port: int = setting(8080, "port to listen on; 0 chooses a free one", read=whole_number(0, 65535), metavar="PORT")
    token: str = setting(
        "",
        "secret that every request must send as Authorization: Bearer TOKEN; the flag shows in the list of processes",
        read=secret,
        metavar="TOKEN",
        shown="none",
        hidden=True,
    )
    allow_anonymous: bool = setting(
        "no",
        "listen where others can reach the server without a token: they can train and delete",
        read=switch,
        metavar="yes|no",
    )
    allowed_hosts: tuple[str, ...] = setting(
        "",
        "further names of this server in Host headers, separated by commas; * for any",
        read=names,
        metavar="NAMES",
        shown="none",
    )
    cors_origins: tuple[str, ...] = setting(
        "",
        "further origins, separated by commas, whose web pages have access, e.g. https://lab.example; * for any",
        read=names,
        metavar="ORIGINS",
        shown="pages of this machine",
    )
    state_dir: Path = setting("./checkpoints", "where models, runs and weights are kept", read=folder, metavar="DIR")
    data_dir: Path = setting(
        default_data_dir,
        "where data sets are kept",
        read=folder,
        metavar="DIR",
        shown="$TFDS_DATA_DIR, else ~/tensorflow_datasets",
    )
    max_body_mb: int = setting(
        32, "largest request body, in megabytes; a larger one gets a 413", read=whole_number(1, 4096), metavar="MB"
    )
    max_layers: int = setting(
        256,
        "most layers in a network, more get a 400; compiling takes 0.05 s per layer, 1 to 2 s per convolution",
        read=whole_number(1, 2048),
        metavar="N",
    )
    max_memory_gb: int = setting(
        0,
        "most memory for a run, in 10^9 bytes, more gets a 400; 0 for all that is free",
        read=whole_number(0, 1_000_000),
        metavar="GB",
    )
    max_compile_seconds: int = setting(
        600,
        "longest compilation of a run, in seconds, a longer one fails; 0 for no limit",
        read=whole_number(0, 1_000_000),
        metavar="SECONDS",
    )
    max_streams: int = setting(
        400, "most event streams at a time; more get a 503", read=whole_number(1, 10_000), metavar="N"
    )
    max_queue: int = setting(
        100, "most runs that wait at a time; more get a 503", read=whole_number(1, 10_000), metavar="N"
    )
    keep_runs: int = setting(
        0,
        "how many of the runs that ended last are kept, older ones are deleted unless promoted; 0 for all",
        read=whole_number(0, 1_000_000),
        metavar="N",
    )
    keep_days: int = setting(
        0,
        "for how many days ended runs are kept, older ones are deleted unless promoted; 0 for ever",
        read=whole_number(0, 36_500),
        metavar="N",
    )
    resume_interrupted: bool = setting(
        "no",
        "resume the runs that the end of a server cut off, at the next start, before new ones",
        read=switch,
        metavar="yes|no",
    )
    threads: int = setting(
        64,
        "most requests served at a time, event streams aside; more get a 503",
        read=whole_number(1, 10_000),
        metavar="N",
    )
    kernels: Kernels = setting(
        "auto",
        "kernels on a CPU: auto (the fastest), products (no machine code) or xla (XLA's own)",
        read=word(*get_args(Kernels)),
        metavar="CHOICE",
    )
    log_level: str = setting(
        "info", f"lowest level that is logged: {', '.join(LOG_LEVELS)}", read=word(*LOG_LEVELS), metavar="LEVEL"
    )


@dataclass(frozen=True)
class Row:
    """One setting as the command line, the environment and the documents show it."""

    name: str
    flag: str
    variable: str
    metavar: str
    default: str
    help: str
    read: Callable[[str], object]
    hidden: bool


def rows() -> Iterator[Row]:
    """The table of settings, in the order of `Settings`."""
    for each in dataclasses.fields(Settings):
        yield Row(
            name=each.name,
            flag="--" + each.name.replace("_", "-"),
            variable="LAMINA_" + each.name.upper(),
            metavar=each.metadata["metavar"],
            default=each.metadata["shown"],
            help=each.metadata["help"],
            read=each.metadata["read"],
            hidden=each.metadata["hidden"],
        )


def settings_from(flags: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """Settings from flags by field name, then LAMINA_* (empty counts as unset), then defaults. Raises ConfigError."""
    chosen: dict[str, Any] = {}
    for row in rows():
        for source, text in ((row.flag, flags.get(row.name)), (row.variable, environ.get(row.variable) or None)):
            if text is not None:
                chosen[row.name] = _read(row, source, text)
                break
    return Settings(**chosen)


def _read(row: Row, source: str, text: str) -> object:
    try:
        return row.read(text)
    except (ValueError, RuntimeError) as reason:  # RuntimeError: no home directory for ~
        came = "" if row.hidden else f", got {text!r}"
        raise ConfigError(f"{source}: {reason}{came}") from None


def as_flags(settings: Settings) -> list[str]:
    """The command line that gives `settings` again, for a child process; secrets are left to `as_environment`."""
    return [part for row in rows() if not row.hidden for part in (row.flag, _text(getattr(settings, row.name)))]


def as_environment(settings: Settings) -> dict[str, str]:
    """The secrets of `settings`, which a command line would show to everyone on the machine."""
    return {row.variable: _text(getattr(settings, row.name)) for row in rows() if row.hidden}


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def settings_table() -> str:
    """The settings as a Markdown table, for backend/README.md."""
    lines = ["| flag | environment | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{row.flag}` | `{row.variable}` | `{row.default}` | {row.help} |" for row in rows()]
    return "\n".join(lines) + "\n"
