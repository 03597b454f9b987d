# SPDX-License-Identifier: Apache-2.0
"""How one simulated camera is built and how it misbehaves right now: one frozen value.

Every behaviour of a camera is a field here, the healthy value being the default. A *fault*
(faults.py) is a named set of such fields, nothing more, so the servers never ask "is fault X on?"
but only read settings. Written by tests, by the configuration file of the pod and by the control
door.
"""

from __future__ import annotations

import dataclasses
import typing
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from camera_simulator.clips import Codec

AuthScheme = Literal["wsse", "digest", "basic"]
Server = Literal["replay", "gstreamer"]
Web = Literal["onvif", "closed", "page", "not-found"]
Media = Literal["whole", "p-frames-only", "no-idr", "audio-without-picture", "audio-only"]
Audio = Literal["none", "pcmu", "pcma", "aac", "opus", "latm"]
AudioPacking = Literal["single", "aggregated", "fragmented", "hostile", "adts"]
"""How AAC lies in packets; "hostile": with packets between that make no sense; "adts": each unit
behind an ADTS header."""
AudioSetup = Literal[
    "taken", "unsupported", "refused", "closes", "hangs", "play-fails", "on-video-channel"
]
"""What a camera does about the SETUP of its audio."""
Payloads = Literal[
    "plain", "marker-on-each-unit", "no-marker", "annex-b", "empty-packets",
    "changing-fragment-type", "aggregated", "aggregated-padded",
]  # fmt: skip
"""How pictures lie in RTP packets."""
WebAnswers = Literal["whole", "fin", "half", "empty", "garbage", "chunk-cut", "silent"]
"""How answers of the web port come; all but "fin" and "silent" one time out of five."""
SoapText = Literal[
    "right", "bare-ampersand", "other-encoding", "undeclared-prefix", "control-character"
]
"""What is wrong in the text of SOAP answers, none of which changes their structure."""
SoapVersion = Literal["1.2", "1.1-answers", "1.1-415", "1.1-400", "1.1-500", "1.1-fault"]
"""What SOAP it speaks. "1.1-answers": it reads both and answers in 1.1. All others read 1.1 alone,
and answer 1.2 with that status, or by a fault VersionMismatch."""
SoapShape = Literal["right", "uri-without-wrapper", "wrapped-uri", "service-namespace"]
"""How elements lie in its answers: a Uri straight in the response of Media1, one in a MediaUri of
Media2, or all elements in the namespace of their service."""
Timestamps = Literal[
    "true",
    "jump-back",
    "jump-ahead",
    "set-ahead",
    "backwards",
    "constant",
    "random",
    "wrap",
    "too-fast",
    "milliseconds",
]
"""How pictures are stamped; jumps and the wrap come two seconds after PLAY."""
ReportClock = Literal["true", "zero", "in-1970", "steps"]
"""The wall clock in sender reports; "steps": a day ahead from the second report on."""
Dialect = Literal[
    "lf-only",
    "lower-case",
    "folded",
    "no-cseq",
    "wrong-cseq",
    "http-status-line",
    "rtsp-1.1",
    "trailing-semicolons",
    "schemeless-base",
    "inner-base",
    "no-content-type",
    "no-content-base",
    "bare-sdp",
    "inner-control",
    "star-control",
    "no-control",
    "session-changes",
    "ssrc-with-blanks",
    "bad-rtp-info",
    "requests-of-its-own",
    "garbage-between-packets",
    "unreadable-medium",
    "query-control",
    "session-control-base",
    "several-payload-types",
    "setup-without-session",
    "transport-without-ids",
]
"""Ways of writing RTSP and SDP that are wrong and seen in the field."""


@dataclass(frozen=True)
class CameraSettings:
    """A camera as its installer left it. Ports of 0 mean: any free port, read it back from the
    Camera."""

    name: str
    host: str = "127.0.0.1"
    onvif_port: int = 0
    rtsp_port: int = 0
    server: Server = "replay"

    # What it films. A resolution and a codec name a clip of footage.py.
    codec: Codec = "h264"
    resolution: str = "360p"
    sub_resolution: str = "240p"
    start_frame: int = 0
    b_frames: Literal["", "declared", "undeclared"] = ""
    groups: Literal["", "open", "changing-sets"] = ""
    """Open GOPs with recovery points; picture parameter sets that change within each group. Both at
    240p and without other B-frames."""

    # Who may look. No password: an open camera that asks nobody.
    username: str = "ingest"
    password: str | None = field(default=None, repr=False)
    realm: str = ""
    """Of its challenges; its model and serial number where empty."""
    soap_text: SoapText = "right"
    soap_version: SoapVersion = "1.2"
    soap_shape: SoapShape = "right"
    # Empty: ONVIF requires no login, whatever RTSP requires.
    onvif_schemes: tuple[AuthScheme, ...] = ("wsse", "digest")
    media_schemes: tuple[AuthScheme, ...] = ()
    """Of the media services, where they differ from the device service's."""
    rtsp_schemes: tuple[AuthScheme, ...] = ("digest",)
    closes_after_401: Literal["", "announced", "silently"] = ""
    wsse_window_s: float = 60.0
    refuses_old_created: bool = False
    """A Created that is older than the newest one taken is a replay."""
    lockout_after: int = 0
    lockout_s: float = 1800.0
    digest_algorithms: tuple[str, ...] = ("MD5",)
    digest_refused: tuple[str, ...] = ()
    challenges_in_one_header: bool = False
    challenge_form: str = ""
    """How Digest challenges are written (challenge_forms.py); the usual one where empty."""
    nonce_per_url: bool = False
    tells_attempts: bool = False

    # What it says it is.
    manufacturer: str = "Camfleet"
    model: str = "SIM-2"
    firmware: str = "1.0.0"
    serial: str = ""
    mac: str = ""
    uuid: str = ""
    hardware: Literal["told", "missing", "refused"] = "told"

    # How it behaves.
    power: bool = True
    clock_offset_s: float = 0.0
    clock_step_s: float = 0.0
    clock_steps_after: int = 0
    """ONVIF logins taken before the clock makes its step."""
    clock_told: Literal["utc", "local-as-utc", "local-alone", "empty", "not-implemented"] = "utc"
    zone_hours: int = 7
    """What its local time is ahead of UTC."""
    date_header: Literal["absent", "right", "local"] = "absent"
    date_needs_login: bool = False
    web: Web = "onvif"
    web_tls: bool = False
    web_certificate: int = 1
    tls_of_2008: bool = False
    """TLS 1.0 and 1.1 alone (RFC 8996 has deprecated them), on every port that speaks TLS."""
    tls_before_rfc5746: bool = False
    """TLS 1.2 without the extension renegotiation_info, on every port that speaks TLS."""
    web_answers: WebAnswers = "whole"
    web_crashes_above: int = 0
    """Requests a minute that it stands; above them it restarts. 0: any number."""
    advertised_host: str = ""
    advertised_port: int = 0
    address_form: Literal["url", "schemeless", "with-credentials"] = "url"
    stream_host: str = ""
    stream_port: int = 0
    onvif_username: str = ""
    device_path: str = "/onvif/device_service"
    default_path: Literal["not-found", "bad-request", "services-only"] = "not-found"
    media1: bool = True
    media2: Literal["absent", "whole", "faults", "not-found", "empty"] = "absent"
    channels: int = 1
    shuffled_profiles: bool = False
    reshuffles: Literal["nothing", "profiles", "sources"] = "nothing"
    """What it lists in another order in each answer; "sources" with the profiles."""
    lists_sources: bool = True
    twin_profiles: bool = False
    """Each stream is two profiles, equal in all but tokens, encoder and path."""
    passing_tokens: bool = False
    """Profiles have tokens that hold until profiles are listed again."""
    odd_tokens: bool = False
    events: Literal["absent", "whole", "no-renew", "minutes", "few", "promised"] = "absent"
    snapshot: Literal["jpeg", "rtsp", "with-user"] = "jpeg"
    discovery: bool = False
    probe_taste: Literal["any", "one-line", "typed", "untyped", "device-type"] = "any"
    probe_answer: Literal[
        "whole",
        "garbage",
        "entities",
        "cut",
        "prefixes-undeclared",
        "doubled",
        "several-addresses",
        "storage",
    ] = "whole"
    probe_loss: float = 0.0
    media1_h265: Literal["named", "called-h264", "hidden"] = "named"
    media: Media = "whole"
    audio: Audio = "none"
    audio_packing: AudioPacking = "single"
    audio_setup: AudioSetup = "taken"
    audio_loss: int = 0
    audio_is_back_channel: bool = False
    freeze: bool = False
    stream_dies_after_s: float = 0.0
    max_sessions: int = 0
    session_timeout_s: int = 60
    keepalive: tuple[str, ...] = ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "RTCP")
    transports: tuple[str, ...] = ("TCP",)
    udp_blocked: bool = False
    udp_loss: float = 0.0
    udp_reorders: bool = False
    udp_burst: int = 0
    answers_tcp_with_udp: bool = False
    rtsp_tls: bool = False
    rtsp_certificate: int = 1
    rtsp_refuses: str = ""
    rtsp_refusal: int = 453
    rtsp_retry_after_s: int = 0
    redirect_to: str = ""
    session_timeout_text: str = ""
    sessions_linger: bool = False
    rtsp_methods: tuple[str, ...] = ("GET_PARAMETER", "SET_PARAMETER", "OPTIONS")
    rtsp_methods_unnamed: tuple[str, ...] = ()
    """Those of them that Public leaves out."""
    dead_session_packets: bool = False
    rtsp_dialect: tuple[Dialect, ...] = ()
    sender_reports: bool = True
    sdp_parameter_sets: bool = True
    payloads: Payloads = "plain"
    labels_pictures: bool = False
    """Every picture says which one it is (rtsp/labels.py)."""
    flips_size: bool = False
    """The main stream alternates between its clip and one of the sub-stream's size, group by group;
    a camera with H.265 has to be installed so."""
    timestamps: Timestamps = "true"
    frame_rate: float = 0.0
    """Pictures a second that it sends, stamped as the clip's rate; 0: the clip's."""
    report_clock: ReportClock = "true"

    faults: tuple[str, ...] = ()

    def with_password(self, password: str) -> CameraSettings:
        return dataclasses.replace(self, password=password)

    @property
    def main_clip(self) -> str:
        order = {"": "", "declared": "-b", "undeclared": "-b-undeclared"}[self.b_frames]
        groups = {"": "", "open": "-open", "changing-sets": "-sets"}[self.groups]
        return f"{self.resolution}-{self.codec}{order}{groups}"

    @property
    def sub_clip(self) -> str:
        return f"{self.sub_resolution}-h264"

    @property
    def other_clip(self) -> str:
        """What the main stream alternates with where it flips its size."""
        return f"{self.sub_resolution}-{self.codec}" if self.flips_size else self.sub_clip

    @property
    def serial_number(self) -> str:
        return self.serial or f"SIM{uuid.uuid5(uuid.NAMESPACE_DNS, self.name).hex[:10].upper()}"

    @property
    def endpoint(self) -> str:
        """The stable identity that WS-Discovery and GetEndpointReference give."""
        return f"urn:uuid:{self.uuid or uuid.uuid5(uuid.NAMESPACE_URL, self.name)}"

    @property
    def mac_address(self) -> str:
        """Locally administered (IEEE 802 section 8.4)."""
        digits = uuid.uuid5(uuid.NAMESPACE_OID, self.name).hex[:10]
        return self.mac or ":".join(("02", *(digits[at : at + 2] for at in range(0, 10, 2))))


FIXED_FIELDS = frozenset(
    {
        "name",
        "host",
        "onvif_port",
        "rtsp_port",
        "server",
        "codec",
        "resolution",
        "sub_resolution",
        "b_frames",
        "groups",
    }
)
"""What a running camera cannot change: its place, its server and its clips."""

_TYPES = typing.get_type_hints(CameraSettings)


class SettingsInvalid(ValueError):
    """The configuration or a PATCH names a field, a value or a fault that does not exist."""


def settings_from(mapping: Mapping[str, Any]) -> CameraSettings:
    """Settings from YAML or JSON; SettingsInvalid names the field that is wrong."""
    if "name" not in mapping:
        raise SettingsInvalid("a camera needs a name")
    return CameraSettings(**checked_fields(mapping))


def checked_fields(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with lists turned into tuples, every field known and of its declared type."""
    return {name: _checked(name, value) for name, value in mapping.items()}


def changed(settings: CameraSettings, changes: Mapping[str, Any]) -> CameraSettings:
    """The settings with these fields replaced; refuses what a running camera cannot change."""
    fixed = FIXED_FIELDS & changes.keys()
    if fixed:
        raise SettingsInvalid(f"a running camera cannot change {', '.join(sorted(fixed))}")
    return dataclasses.replace(settings, **checked_fields(changes))


def _checked(name: str, value: Any) -> Any:
    if name not in _TYPES:
        raise SettingsInvalid(f"unknown setting {name!r}")
    wanted = _TYPES[name]
    value = tuple(value) if isinstance(value, list) else value
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not _fits(value, wanted):
        raise SettingsInvalid(
            f"setting {name!r} does not take {type(value).__name__} {_shown(name, value)}"
        )
    return value


def _fits(value: Any, wanted: Any) -> bool:
    origin = typing.get_origin(wanted)
    if origin is Literal:
        return value in typing.get_args(wanted)
    if origin is tuple:
        return isinstance(value, tuple) and all(
            _fits(item, typing.get_args(wanted)[0]) for item in value
        )
    if origin is not None:  # X | None
        return any(_fits(value, option) for option in typing.get_args(wanted))
    return isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))


def _shown(name: str, value: Any) -> str:
    return "(hidden)" if name == "password" else repr(value)
