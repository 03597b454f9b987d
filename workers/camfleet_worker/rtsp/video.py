# SPDX-License-Identifier: Apache-2.0
"""Chooses the video of a description: the first with a codec that the profile allows.

Pure; called by the handshake. The description decides, not ONVIF's name of the codec.
"""

from __future__ import annotations

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.rtsp.sdp import Description, MediaSection

_SPOKEN = {Codec.H264: "H.264", Codec.H265: "H.265"}


def choose_video(
    description: Description, allowed: tuple[Codec, ...]
) -> tuple[MediaSection, Codec]:
    """The section to set up, and its codec. IngestError where no video is of an allowed codec."""
    for section in description.media:
        if section.codec in allowed:
            return section, section.codec
    kinds = {section.kind for section in description.media}
    offered = description.offered()[:100] or "no media"
    if "audio" in kinds and "video" not in kinds:
        raise IngestError(
            ConditionType.STREAMING,
            Reason.AUDIO_ONLY,
            f"The stream offers {offered} and no video",
            Retry.SLOW,
        )
    raise IngestError(
        ConditionType.ELIGIBLE,
        Reason.NO_ALLOWED_STREAM,
        f"The stream offers {offered}, not {' or '.join(_SPOKEN[one] for one in allowed)}",
        Retry.SLOW,
    )
