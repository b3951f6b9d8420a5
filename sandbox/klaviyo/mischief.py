"""Carries out an ordered fault on the connection at hand.

Only this module may hold a request up, break its answer or its socket.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterator

from flask import Response, request

from sandbox.klaviyo import paging
from sandbox.klaviyo.errors import MIMETYPE, ApiError, bad_request, problem
from sandbox.klaviyo.faults import Fault

_CHALLENGE = """<!DOCTYPE html><html lang="en"><head><title>Just a moment...</title></head>
<body><h1>Attention required</h1><p>Please enable cookies. Sorry, you have been blocked.</p></body></html>"""

# Answers an ordered status as the stand-in at hand words its errors; Klaviyo's unless told otherwise.
InWords = Callable[[Fault], Response]


def delay(latency_ms: dict[str, float]) -> None:
    """Be as slow as was set for the path of this request."""
    wanted = [milliseconds for prefix, milliseconds in latency_ms.items() if request.path.startswith(prefix)]
    if wanted:
        time.sleep(max(wanted) / 1000)


def before(fault: Fault, in_words: InWords | None = None) -> Response | None:
    """The answer that replaces processing, or None when the request goes on to be processed."""
    if fault.kind == "slow":
        time.sleep(fault.seconds)
        return None
    if fault.lets_through:
        return None
    if fault.kind == "hang_before":
        time.sleep(fault.seconds)
        return _reset()
    return _answer(fault, in_words or _status)


def after(fault: Fault, response: Response, in_words: InWords | None = None) -> Response:
    """What the client gets although the request was processed."""
    if fault.kind == "slow":
        return response
    if fault.kind == "hang_after_accept":
        time.sleep(fault.seconds)
        return response
    if fault.kind == "repeat_page":
        return paging.leading_back_here(response)
    if fault.kind == "drip":
        return _drip(fault, response)
    return _answer(fault, in_words or _status)


def _answer(fault: Fault, in_words: InWords) -> Response:
    if fault.kind == "reset" or fault.kind == "hang_before":
        return _reset()
    if fault.kind == "garbage":
        return Response(b'{"data": [{"type": "prof\xff\x00', 200, mimetype=MIMETYPE)
    if fault.kind == "html_403":
        return Response(_CHALLENGE, 403, {"cf-mitigated": "challenge", "server": "cloudflare"}, mimetype="text/html")
    if fault.kind == "redirect":
        return Response("", 302, {"Location": "https://www.klaviyo.com/login"})
    if fault.kind == "expired_cursor":
        return bad_request("Invalid cursor provided.", parameter="page[cursor]").response()
    return in_words(fault)


def _status(fault: Fault) -> Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if request.path.startswith("/oauth/"):
        return Response('{"error": "server_error"}', fault.status, headers, mimetype="application/json")
    code, title = _WORDS.get(fault.status, ("error", "A server error occurred."))
    return ApiError(fault.status, [problem(code, title, title)], headers).response()


_WORDS = {
    400: ("invalid", "Invalid input."),
    401: ("authentication_failed", "Incorrect authentication credentials."),
    403: ("permission_denied", "You do not have permission to perform this action."),
    404: ("not_found", "Not found."),
    429: ("throttled", "Request was throttled."),
    503: ("service_unavailable", "Service temporarily unavailable."),
}


def _drip(fault: Fault, response: Response) -> Response:
    """The whole answer, spread byte by byte over the ordered seconds."""
    body = response.get_data() or b" " * 20
    pause = fault.seconds / len(body)

    def bytes_one_by_one() -> Iterator[bytes]:
        for byte in body:
            time.sleep(pause)
            yield bytes((byte,))

    headers = {name: value for name, value in response.headers if name.lower() != "content-length"}
    return Response(bytes_one_by_one(), response.status_code, {**headers, "Content-Length": str(len(body))})


def _reset() -> Response:
    """Break the connection; the empty answer that follows finds nobody to go to."""
    raw = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.shutdown(socket.SHUT_RDWR)
    return Response("", 500, {"Connection": "close"})
