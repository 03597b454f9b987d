# SPDX-License-Identifier: Apache-2.0
"""TechnicalProfile: the technical parameters that cameras are held to."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from camfleet_api.base import ListType, Model, Rule
from camfleet_api.kind import AGE, NAME_RULE, Column, Kind
from camfleet_api.policy import StreamRole, VideoCodec


class VideoLimits(Model):
    """Bounds on a stream. Codecs are a condition; the rest is reported as Conformant=False."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.minWidth <= self.maxWidth && self.minHeight <= self.maxHeight",
            "the least width and height must not exceed the greatest",
        ),
        Rule(
            "self.minFramesPerSecond <= self.maxFramesPerSecond",
            "minFramesPerSecond must not exceed maxFramesPerSecond",
        ),
    )

    codecs: Annotated[
        list[VideoCodec],
        Field(min_length=1, max_length=2, description="Codecs that are allowed."),
        ListType("set"),
    ] = [VideoCodec.H264, VideoCodec.H265]
    min_width: Annotated[int, Field(ge=1, le=16384, description="Pixels.")] = 320
    max_width: Annotated[int, Field(ge=1, le=16384, description="Pixels.")] = 3840
    min_height: Annotated[int, Field(ge=1, le=16384, description="Pixels.")] = 180
    max_height: Annotated[int, Field(ge=1, le=16384, description="Pixels.")] = 2160
    min_frames_per_second: Annotated[int, Field(ge=1, le=120, description="Frames a second.")] = 10
    max_frames_per_second: Annotated[int, Field(ge=1, le=120, description="Frames a second.")] = 30
    max_bitrate_kbps: Annotated[
        int, Field(ge=64, le=100000, description="Configured bit rate.")
    ] = 4096
    max_gop_seconds: Annotated[
        int, Field(ge=1, le=60, description="Longest distance of key frames.")
    ] = 10


class StreamUse(Model):
    """Which of a camera's streams is fetched, and how. One: a camera is asked for one session."""

    role: StreamRole = Field(
        StreamRole.MAIN,
        description="Stream that is relayed and recorded, and whose picture is checked.",
    )
    audio: bool = Field(
        False,
        description="Keep the audio of a stream that has one. AAC is relayed and recorded; G.711 "
        "and Opus are relayed over RTSP, and neither recorded nor relayed over RTMP.",
    )
    udp_fallback: bool = Field(
        False, description="Receive over UDP where a camera sends its stream in no other way."
    )


class RecordingPolicy(Model):
    """Whether and how long streams are kept."""

    enabled: bool = Field(True, description="Record the site's cameras.")
    segment_seconds: Annotated[
        int, Field(ge=2, le=3600, description="Length of a file, cut at key frames.")
    ] = 60
    retention_days: Annotated[
        int, Field(ge=1, le=400, description="Days until a recording is deleted.")
    ] = 30


class TechnicalProfileSpec(Model):
    """The technical parameters, as declared."""

    version: Annotated[
        str, Field(min_length=1, max_length=32, description="Version of the paper it implements.")
    ]
    video: VideoLimits = Field(default_factory=VideoLimits, description="Bounds on streams.")
    streams: StreamUse = Field(default_factory=StreamUse, description="Which stream is fetched.")
    recording: RecordingPolicy = Field(
        default_factory=RecordingPolicy, description="Recording and retention."
    )


TECHNICAL_PROFILE = Kind(
    name="TechnicalProfile",
    plural="technicalprofiles",
    short_names=("tprof",),
    namespaced=False,
    description="A TechnicalProfile holds the versioned technical parameters that cameras are "
    "held to: codecs, resolution, frame rate, bit rate, streams, recording.",
    spec=TechnicalProfileSpec,
    status=None,
    columns=(
        Column("Version", ".spec.version"),
        Column("Codecs", ".spec.video.codecs"),
        Column("Recording", ".spec.recording.enabled", "boolean"),
        AGE,
    ),
    rules=(NAME_RULE,),
)
