# SPDX-License-Identifier: Apache-2.0
"""The API server's verdict on a bearer token, as a plain value. Made by `token_reviews`, judged by
`camfleet_worker.endpoints.bearer`; neither drags the Kubernetes client into the other's tests.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReviewedToken:
    """What a TokenReview answers (authentication.k8s.io/v1, TokenReviewStatus)."""

    authenticated: bool
    user: str
    audiences: frozenset[str]
    """Those that were asked for and that the token is for. Empty where the authenticator knows
    none: the token is then one for the API server itself."""
