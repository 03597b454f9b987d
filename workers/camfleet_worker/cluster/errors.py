# SPDX-License-Identifier: Apache-2.0
"""What an API request can end with, and the one table of the client's exceptions.

No code outside this package sees an exception of the client, and none of ours carries a response
body: bodies of Secrets would end in a log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from camfleet_worker.base.whole_number import whole_number


class Trouble(StrEnum):
    """Why a request did not do what was asked."""

    NOT_FOUND = "not found"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    EXPIRED = "expired"
    """410 Gone: the resource version is too old to watch from; list again."""
    INVALID = "invalid"
    """400 or 422: our request is wrong. Repeating it cannot help."""
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    """No answer, no connection, or 5xx."""


class ClusterError(Exception):
    """One failed request; `retry_after_s` is the server's wish, if it has one."""

    def __init__(self, trouble: Trouble, fact: str, retry_after_s: float | None = None) -> None:
        super().__init__(fact)
        self.trouble = trouble
        self.retry_after_s = retry_after_s


_BY_STATUS = {
    400: Trouble.INVALID,
    401: Trouble.FORBIDDEN,
    403: Trouble.FORBIDDEN,
    404: Trouble.NOT_FOUND,
    409: Trouble.CONFLICT,
    410: Trouble.EXPIRED,
    422: Trouble.INVALID,
    429: Trouble.THROTTLED,
}


def of_status(status: int, what: str, retry_after: str | None = None) -> ClusterError:
    """The error for an HTTP status of the API server."""
    trouble = _BY_STATUS.get(status, Trouble.UNAVAILABLE)
    return ClusterError(trouble, f"{what}: HTTP {status} ({trouble})", _seconds(retry_after))


@contextmanager
def cluster_errors(what: str) -> Iterator[None]:
    """Translate the client's exceptions. `what` names the request in words, such as "get x"."""
    try:
        yield
    except ApiException as error:
        headers = error.headers or {}
        raise of_status(error.status or 0, what, headers.get("Retry-After")) from None
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        fact = f"{what}: {type(error).__name__}"
        raise ClusterError(Trouble.UNAVAILABLE, fact) from error


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds (RFC 9110 section 10.2.3); the API server sends no dates."""
    seconds = whole_number(retry_after, digits=6)
    return None if seconds is None else float(seconds)
