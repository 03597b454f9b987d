# SPDX-License-Identifier: Apache-2.0
"""Asking the API server which account a bearer token belongs to.

The one request of a worker that is not limited by name: reviews have none. The right comes from the
chart, and only where a viewer is declared.
"""

from __future__ import annotations

from kubernetes.aio import client

from camfleet_worker.cluster.connection import Connection
from camfleet_worker.cluster.errors import ClusterError, Trouble, cluster_errors
from camfleet_worker.cluster.reviewed_token import ReviewedToken

REVIEW_TIMEOUT_S = 3.0
"""The deadline of a review is short, because a person waits for a picture."""


class TokenReviews:
    """Reviews for one audience (authentication.k8s.io/v1, TokenReview)."""

    def __init__(
        self, connection: Connection, audience: str, timeout_s: float = REVIEW_TIMEOUT_S
    ) -> None:
        self._api = client.AuthenticationV1Api(connection.requests)
        self._audience = audience
        self._timeout_s = timeout_s

    async def review(self, token: str) -> ReviewedToken:
        """The API server's verdict on the token now. Raises ClusterError, without the token."""
        spec = client.V1TokenReviewSpec(token=token, audiences=[self._audience])
        try:
            with cluster_errors("review a token"):
                answer = await self._api.create_token_review(
                    client.V1TokenReview(spec=spec), _request_timeout=self._timeout_s
                )
        except ValueError:
            # No JSON, or no TokenReview: the client's own words would show the token in the answer.
            fact = "review a token: an answer that cannot be read"
            raise ClusterError(Trouble.UNAVAILABLE, fact) from None
        status = answer.status
        if status is None:
            return ReviewedToken(False, "", frozenset())
        user = (status.user.username if status.user else None) or ""
        return ReviewedToken(bool(status.authenticated), user, frozenset(status.audiences or ()))
