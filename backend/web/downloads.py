"""A file as an HTTP response: whole or in part, and not at all to who has it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Response, request

from backend.actions.weights import Download
from backend.errors import ApiError
from backend.events.capacity import Places
from backend.events.source import Source
from backend.web.environ import HANDED_OVER

SHA256 = "X-Checksum-Sha256"  # of the whole file, as `sha256sum` prints it
RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class Parcel(Source):
    """A part of a file on its way to one client, which no thread waits for."""

    send_buffer = None

    def __init__(self, download: Download, part: range) -> None:
        super().__init__(f"the weights of run {download.run.run_id}", keep_alive=float("inf"))
        self._pieces = download.pieces(part)
        self._next = next(self._pieces, None)  # here, as it may take long, and others wait for who sends

    @property
    def behind(self) -> bool:
        """Whether there is more to send at once."""
        return True

    @property
    def done(self) -> bool:
        return self._next is None

    def news(self, timeout: float = 0.0) -> list[bytes] | None:
        """The next piece, None after the last one."""
        piece, self._next = self._next, next(self._pieces, None) if self._next is not None else None
        return None if piece is None else [piece]


@dataclass(frozen=True)
class Downloads:
    """The files that are being sent. `places`: for how many at a time."""

    places: Places

    def response(self, found: Download) -> Response:
        """A file, which is closed here: 200 or 206, 304 for who has it, 412, 416, and 503 without a place."""
        try:
            response = self._response(found)
        except BaseException:
            found.close()
            raise
        response.set_etag(found.known.sha256)
        response.headers[SHA256] = found.known.sha256
        response.headers["Accept-Ranges"] = "bytes"
        response.headers["Cache-Control"] = "private, no-cache"
        return response

    def _response(self, found: Download) -> Response:
        """By the conditions in their order: RFC 9110 13.2.2."""
        known = found.known
        if request.if_match and not request.if_match.contains(known.sha256):
            raise ApiError(412, "The weights are no longer those that If-Match names; ask without it")
        if request.if_none_match.contains_weak(known.sha256):
            found.close()
            return Response(status=304)
        part = asked_part(known.size) if request.headers.get("If-Range") in (None, f'"{known.sha256}"') else None
        if request.method == "HEAD":
            found.close()
            part, response = None, Response(iter(()))  # an iterator: its length is not told
        else:
            response = self._sending(found, range(known.size) if part is None else part)
        response.mimetype = "application/octet-stream"
        response.headers["Content-Length"] = str(known.size if part is None else len(part))
        response.headers["Content-Disposition"] = f'attachment; filename="{found.name}"'
        if part is not None:
            response.status_code = 206
            response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{known.size}"
        return response

    def _sending(self, found: Download, part: range) -> Response:
        if not self.places.take():
            message = f"{self.places.most} downloads are being sent, and no more may be at a time; try again later"
            raise ApiError(503, message, headers={"Retry-After": "5"})
        try:
            parcel = Parcel(found, part)
        except BaseException:
            self.places.give_back()
            raise
        if HANDED_OVER in request.environ:
            request.environ[HANDED_OVER].append(parcel)
        response = Response(parcel)

        @response.call_on_close
        def closed() -> None:
            self.places.give_back()
            found.close()

        return response


def asked_part(size: int) -> range | None:
    """The part of a file of `size` bytes that the request asks for. ApiError 416 where the file has no such part.

    None for all of it: without a Range, and with one that is none or names several parts. RFC 9110 14.2.
    """
    asked = RANGE.fullmatch(request.headers.get("Range", ""))
    first, last = asked.groups() if asked else ("", "")
    if request.method != "GET" or not (first or last) or (first and last and int(last) < int(first)):
        return None
    part = range(int(first), min(int(last or size) + 1, size)) if first else range(max(size - int(last), 0), size)
    if not part:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ApiError(416, f"The file has {size} bytes, and none of the range {first}-{last}", headers=headers)
    return part
