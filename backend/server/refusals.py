"""What gunicorn refuses before the application sees it: answered as JSON, by its kind alone.

The words of a client that is misunderstood are neither sent nor logged: its token may be among them.
"""

from __future__ import annotations

import json
import logging
from types import MappingProxyType
from typing import Any

from gunicorn.http import errors

log = logging.getLogger("lamina.server")

BAD = "400 Bad Request"
KINDS = MappingProxyType(
    {
        errors.InvalidRequestLine: (BAD, "the first line must be a method, a path and HTTP/1.1, separated by blanks"),
        errors.InvalidRequestMethod: (BAD, "the method is malformed"),
        errors.InvalidHTTPVersion: (BAD, "the first line must end with HTTP/1.1 or HTTP/1.0"),
        errors.InvalidHeader: (BAD, "a header is malformed, comes twice, or contradicts another"),
        errors.InvalidHeaderName: (BAD, "the name of a header is malformed"),
        errors.ObsoleteFolding: (BAD, "a header continues on a second line"),
        errors.InvalidSchemeHeaders: (BAD, "two headers contradict each other"),
        errors.ExpectationFailed: ("417 Expectation Failed", "the Expect header may only be 100-continue"),
        errors.LimitRequestLine: ("414 URI Too Long", "the path and its query are too long"),
        errors.LimitRequestHeaders: ("431 Request Header Fields Too Large", "the headers are too many or too large"),
        errors.UnsupportedTransferCoding: ("501 Not Implemented", "the Transfer-Encoding must be chunked or absent"),
    }
)
OTHER = (BAD, "it is malformed")
OURS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)


def refuse(client: Any, addr: Any, reason: Exception) -> None:
    """Tell a client, and the log, which kind of request is refused; of our own bugs the log has all."""
    if isinstance(reason, errors.ParseException) and not isinstance(reason, OURS):
        status, kind = KINDS.get(type(reason), OTHER)
        sentence = f"The request is not valid HTTP: {kind}"
        log.warning("refused a request from %s: %s", (addr or ["a local socket"])[0], kind)
    else:
        status, sentence = "500 Internal Server Error", "Internal error; the server's log has the details."
        log.error("a request failed outside the application", exc_info=reason)
    body = json.dumps({"error": sentence}).encode()
    head = [f"HTTP/1.1 {status}", "Connection: close", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    try:
        client.sendall("\r\n".join([*head, "", ""]).encode() + body)
    except OSError as gone:
        log.debug("the client of a refused request is gone: %s", gone)
