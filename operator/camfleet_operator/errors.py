# SPDX-License-Identifier: Apache-2.0
"""The operator's errors: one for each kind of answer that the reconcile loop treats differently.

Foreign exceptions are mapped to these in `cluster.api` and nowhere else. Messages contain the
detail, never an object's body.
"""

from __future__ import annotations


class OperatorError(Exception):
    """Base of everything this package raises on purpose."""


class ApiError(OperatorError):
    """The API server refused, or could not be asked. The key is tried again with backoff."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


class ApiUnavailable(ApiError):
    """No answer: connection refused, deadline passed, or 5xx."""


class Throttled(ApiError):
    """429: the API server asks us to wait."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(429, "TooManyRequests", message)
        self.retry_after_s = retry_after_s


class NotFound(ApiError):
    """404: the object, or the namespace, is gone."""


class Conflict(ApiError):
    """409: another client wrote after we had read, or the uid is another."""


class Forbidden(ApiError):
    """403: a right is missing, or the namespace is being deleted."""


class NotLeading(OperatorError):
    """This process refused a write, because the Lease has not been renewed in time."""


class LeadershipLost(OperatorError):
    """Another replica holds the Lease, or it was not renewed in time: the process must end."""
