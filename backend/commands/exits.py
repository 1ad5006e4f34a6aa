"""What a command ends with, for scripts. One table: help, the manual page and the README show it."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
NO_SERVER = 3
NOT_FOUND = 4
CANCELLED = 5
TIMED_OUT = 124
INTERRUPTED = 130
CLOSED_PIPE = 141

MEANING: dict[int, str] = {
    OK: "done; a run that was waited for has succeeded",
    FAILED: "a run failed, or the server refused the request",
    USAGE: "the command line, a setting or a file cannot be used; nothing was done",
    NO_SERVER: "no server answers at the address",
    NOT_FOUND: "there is no such run, model or file on the server",
    CANCELLED: "a run that was waited for was cancelled",
    TIMED_OUT: "the time of --timeout was over first; the run goes on",
    INTERRUPTED: "ended by Ctrl-C; a run that was waited for goes on",
    CLOSED_PIPE: "what reads the output has closed it, such as head",
}
