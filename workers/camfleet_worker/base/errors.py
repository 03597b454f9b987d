# SPDX-License-Identifier: Apache-2.0
"""The failures of a camera or a sink, as values.

Every failure that leaves a protocol package is an IngestError: the condition that is not True, a
reason of the closed set, a retry class and a sentence for people. The packages that use foreign
libraries (onvif, rtsp, sinks, cluster) translate foreign exceptions at one place each; an exception
that is not translated is a bug and is not caught.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from camfleet_api.conditions import REASONS, ConditionType, Reason


class Retry(StrEnum):
    """When a retry can help."""

    BACKOFF = "backoff"
    """The failure may pass by itself: try again under backoff with full jitter."""
    SLOW = "slow"
    """A person must act at the camera: try again rarely (30 min)."""
    ON_SECRET_CHANGE = "on-secret-change"  # noqa: S105 - not a secret
    """Credentials were refused: try again when the Secret changes, or at the slow retry."""
    ON_SPEC_CHANGE = "on-spec-change"
    """Only a changed declaration can help."""


class Quotation(str):
    """A text of a camera within a detail; it may contain anything, even our password."""

    __slots__ = ()


class IngestError(Exception):
    """One failure with its reason.

    `condition` is the condition that becomes not True, `detail` one sentence without trailing
    period that names what was seen, in parts where some of it is a Quotation. It must hold no
    secret, no timestamp and no counter: the message of a condition must not change while what was
    seen is the same. `retry_after_s`: for how long a retry is useless by the device's own answer,
    as while it keeps a lost session.
    `last_chance`: the device's answer is that it locks the account at the next refused login.
    """

    def __init__(
        self,
        condition: ConditionType,
        reason: Reason,
        detail: str | tuple[str, ...],
        retry: Retry = Retry.BACKOFF,
        retry_after_s: float | None = None,
        *,
        last_chance: bool = False,
    ) -> None:
        parts = (detail,) if isinstance(detail, str) else detail
        detail = "".join(parts)
        super().__init__(f"{reason}: {detail}")
        self.condition = condition
        self.reason = reason
        self.detail = detail
        self.parts = parts
        self.retry = retry
        self.retry_after_s = retry_after_s
        self.last_chance = last_chance

    def hiding(self, hide: Callable[[str], str]) -> IngestError:
        """The same failure with secrets hidden in its quotations; itself where there are none."""
        parts = tuple(
            Quotation(hide(part)) if isinstance(part, Quotation) else part for part in self.parts
        )
        if parts == self.parts:
            return self
        return IngestError(
            self.condition,
            self.reason,
            parts,
            self.retry,
            self.retry_after_s,
            last_chance=self.last_chance,
        )

    def again(self, retry: Retry | None = None, retry_after_s: float | None = None) -> IngestError:
        """The same failure for another camera or another time.

        A wait or a last chance in the device's answer applies to the first camera only.
        """
        kind = type(self) if isinstance(self, ReportedError) else IngestError
        return kind(self.condition, self.reason, self.parts, retry or self.retry, retry_after_s)

    @property
    def message(self) -> str:
        """The detail and the next action: the message of the condition."""
        next_action = REASONS[self.reason].next_action
        return f"{self.detail}. {next_action}" if next_action else f"{self.detail}."


class ReportedError(IngestError):
    """A failure that a former worker reported: `detail` is its condition's whole message.

    It is reported again unchanged. Detail and next action are not separated, because the text of
    the next action may differ after an upgrade.
    """

    @property
    def message(self) -> str:
        """The message that the condition already has."""
        return self.detail
