# SPDX-License-Identifier: Apache-2.0
"""The operator's errors: what the API server may answer, as values the reconcile loop can act on.

Foreign exceptions are mapped to these in `cluster.api` and nowhere else. Messages carry the fact,
never an object's body.
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
    """409: somebody wrote since we read, or the uid is another."""


class Forbidden(ApiError):
    """403: a right is missing, or the namespace is being deleted."""


class NotLeading(OperatorError):
    """A write was refused here, because the Lease has not been renewed in time."""


class LeadershipLost(OperatorError):
    """The Lease is another's or could not be renewed in time: the process must end."""
