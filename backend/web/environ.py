"""What the worker and the application tell each other through the WSGI environment."""

from __future__ import annotations

# In the WSGI environment of a server that can send streams by itself: a list, where the application puts the source.
HANDED_OVER = "lamina.streams"
# Whether as many requests are served already as the settings allow.
CROWDED = "lamina.crowded"
# The body of the request: an Incoming.
INCOMING = "lamina.incoming"


class Parked(BaseException):
    """A request that may be answered, once its body is there. No Exception: no handler of errors is meant."""
