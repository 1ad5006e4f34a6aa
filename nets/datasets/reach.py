"""Can this machine reach a host? Asked before a download, which would otherwise retry for minutes."""

from __future__ import annotations

import subprocess
import sys
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

PATIENCE = 3.0  # seconds

_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
except OSError as error:
    print(error.strerror or error)
"""


def unreachable(url: str) -> str | None:
    """Why the host of `url` cannot be reached, None if it answers. At most 3 s; behind a proxy nothing is asked."""
    place = urlsplit(url)
    host = place.hostname or ""
    if getproxies().get(place.scheme) and not proxy_bypass(host):
        return None
    port = place.port or {"http": 80, "https": 443}[place.scheme]
    # A process of its own: a name server that does not answer blocks for longer, and nothing else can end it.
    command = [sys.executable, "-I", "-S", "-c", _CONNECT, host, str(port), str(PATIENCE)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {PATIENCE:.0f} s"
    return answer.stdout.strip() or None
