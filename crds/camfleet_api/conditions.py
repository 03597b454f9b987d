# SPDX-License-Identifier: Apache-2.0
"""Condition types, their closed set of reasons, and the ladder that orders them.

Kubernetes API conventions, "Typical status properties": conditions are positive adjectives,
`reason` is CamelCase and part of the API, `message` is for people. Every reason stands here with
its meaning, the next action of a person, whose fault it is and what camfleet does about it.
Operator and worker decide by these columns, never by a message and never by a list of reasons of
their own; `crds/README.md` is generated from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Flag, StrEnum, auto
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from camfleet_api.base import SparseModel
from camfleet_api.cause import Cause


class ConditionType(StrEnum):
    """What a condition states when it is True. In the order in which people read them."""

    ACCEPTED = "Accepted"
    ASSIGNED = "Assigned"
    REACHABLE = "Reachable"
    AUTHENTICATED = "Authenticated"
    ELIGIBLE = "Eligible"
    STREAMING = "Streaming"
    RELAYING = "Relaying"
    RECORDING = "Recording"
    READY = "Ready"
    IMAGE_HEALTHY = "ImageHealthy"
    TIME_SYNCHRONIZED = "TimeSynchronized"
    CONFORMANT = "Conformant"
    IDENTITY_STABLE = "IdentityStable"
    STABLE = "Stable"
    # kstatus: abnormal-true, present only while true.
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    # Site
    CAMERAS_READY = "CamerasReady"
    COVERED = "Covered"


class ConditionStatus(StrEnum):
    """Kubernetes condition status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


LADDER: tuple[ConditionType, ...] = (
    ConditionType.ACCEPTED,
    ConditionType.ASSIGNED,
    ConditionType.REACHABLE,
    ConditionType.AUTHENTICATED,
    ConditionType.ELIGIBLE,
    ConditionType.STREAMING,
)
"""Each rung stands on the one before: the first that is not True makes the rest Unknown."""

SINKS: tuple[ConditionType, ...] = (ConditionType.RELAYING, ConditionType.RECORDING)
"""Side by side on Streaming."""

SIDE: tuple[ConditionType, ...] = (
    ConditionType.IMAGE_HEALTHY,
    ConditionType.TIME_SYNCHRONIZED,
    ConditionType.CONFORMANT,
    ConditionType.IDENTITY_STABLE,
    ConditionType.STABLE,
)
"""Beside the ladder: never block Ready, present only when not True."""

OPERATOR_CONDITIONS = frozenset(
    {ConditionType.ACCEPTED, ConditionType.ASSIGNED, ConditionType.STALLED}
)
"""Owned by field manager camfleet-operator; all others of a Camera by camfleet-runtime."""


class Reason(StrEnum):
    """The closed set of reasons. `REASONS` holds the meaning and next action of each."""

    # Accepted
    ACCEPTED = "Accepted"
    NAMESPACE_NOT_ENROLLED = "NamespaceNotEnrolled"
    SITE_NOT_FOUND = "SiteNotFound"
    PROFILE_NOT_FOUND = "ProfileNotFound"
    MONITORING_SYSTEM_NOT_FOUND = "MonitoringSystemNotFound"
    CREDENTIALS_NOT_DECLARED = "CredentialsNotDeclared"
    DUPLICATE_SOURCE = "DuplicateSource"
    INVALID_SPEC = "InvalidSpec"
    # Assigned
    ASSIGNED = "Assigned"
    PAUSED = "Paused"
    NO_CAPACITY = "NoCapacity"
    PENDING = "Pending"
    # Reachable
    REACHABLE = "Reachable"
    HOST_UNREACHABLE = "HostUnreachable"
    CONNECTION_REFUSED = "ConnectionRefused"
    ONVIF_OFF = "OnvifOff"
    RTSP_OFF = "RtspOff"
    NAME_NOT_RESOLVED = "NameNotResolved"
    TIMEOUT = "Timeout"
    TLS_FAILED = "TLSFailed"
    CERTIFICATE_CHANGED = "CertificateChanged"
    SITE_UNREACHABLE = "SiteUnreachable"
    # Authenticated
    AUTHENTICATED = "Authenticated"
    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_KEY_MISSING = "CredentialsKeyMissing"
    SECRET_WRONG_TYPE = "SecretWrongType"  # noqa: S105 - a reason, not a secret
    CREDENTIALS_REJECTED = "CredentialsRejected"
    RTSP_CREDENTIALS_REJECTED = "RtspCredentialsRejected"
    RTSP_PASSWORD_REJECTED = "RtspPasswordRejected"  # noqa: S105 - a reason, not a password
    ACCOUNT_LOCKED = "AccountLocked"
    CLOCK_SKEW_REJECTED = "ClockSkewRejected"
    # Eligible
    ELIGIBLE = "Eligible"
    NOT_ONVIF = "NotOnvif"
    NO_ALLOWED_STREAM = "NoAllowedStream"
    CHANNEL_NOT_FOUND = "ChannelNotFound"
    PROTOCOL_ERROR = "ProtocolError"
    # Streaming
    STREAMING = "Streaming"
    NO_FRAMES = "NoFrames"
    NO_KEYFRAME = "NoKeyframe"
    AUDIO_ONLY = "AudioOnly"
    SESSION_LIMIT = "SessionLimit"
    STREAM_REFUSED = "StreamRefused"
    STREAM_REDIRECTED = "StreamRedirected"
    TRANSPORT_REFUSED = "TransportRefused"
    NOT_RTSP = "NotRtsp"
    STREAM_ENDED = "StreamEnded"
    # Relaying
    RELAYING = "Relaying"
    VMS_UNREACHABLE = "VmsUnreachable"
    VMS_WRONG_PROTOCOL = "VmsWrongProtocol"
    VMS_CERTIFICATE_INVALID = "VmsCertificateInvalid"
    VMS_REJECTED = "VmsRejected"
    VMS_NAME_IN_USE = "VmsNameInUse"
    VMS_CREDENTIALS_MISSING = "VmsCredentialsMissing"
    VMS_CODEC_UNSUPPORTED = "VmsCodecUnsupported"
    VMS_TOO_SLOW = "VmsTooSlow"
    # Recording
    RECORDING = "Recording"
    DISK_FULL = "DiskFull"
    STORAGE_FAILED = "StorageFailed"
    # Ready
    READY = "Ready"
    WORKER_LOST = "WorkerLost"
    # Side conditions
    FROZEN = "Frozen"
    BLACK = "Black"
    OVEREXPOSED = "Overexposed"
    COVERED = "Covered"
    BLURRED = "Blurred"
    MOVED = "Moved"
    CLOCK_OFF = "ClockOff"
    CLOCK_UNREADABLE = "ClockUnreadable"
    DIFFERS_FROM_PROFILE = "DiffersFromProfile"
    DEVICE_CHANGED = "DeviceChanged"
    SHARED_IDENTITY = "SharedIdentity"
    FLAPPING = "Flapping"
    # Site
    ALL_READY = "AllReady"
    SOME_NOT_READY = "SomeNotReady"
    NONE_READY = "NoneReady"
    NO_CAMERAS = "NoCameras"
    COVERAGE_MET = "CoverageMet"
    COVERAGE_GAP = "CoverageGap"


class Effect(Flag):
    """What a reason means for camfleet's own decisions. Each says who decides by it."""

    NONE = 0
    IS_UNKNOWN = auto()
    """The condition is Unknown, not False: only that nothing is known yet. Worker's reporter."""
    MAY_ARRIVE = auto()
    """What is missing may be applied a moment later: not reported at once for a new Camera, as
    `kubectl apply` of a folder sends cameras before their Site. Operator's plan."""
    SITE_WIDE = auto()
    """A site that lost its power or line looks so from each device: many of them at once are one
    incident of the Site and have no Event each. ConnectionRefused too: a router that lost what lies
    behind it refuses for it. Operator's plan and Events."""
    ASKS_ONVIF_AGAIN = auto()
    """The device may name another stream, or ONVIF a better reason: ONVIF is asked before the next
    connect. Not where a device or a port does not answer (asking costs a storm of requests when the
    site's line returns, and the address is declared), at a session limit, and for refused
    credentials (asking would spend the account's next attempt). Worker's resolve."""
    REFUSES_RTSP_LOGIN = auto()
    """Where RTSP says it, the account is not tried on RTSP until the slow retry. Supervisor."""
    ENDS_LOGINS = auto()
    """Not even the second login attempt is made before the slow retry or another value in the
    Secret. Ledger of login attempts."""
    TRIES_HTTPS = auto()
    """A port that speaks TLS fails so when it is asked by HTTP: it hangs up, sends an alert, or an
    HTML page. ONVIF resolver."""
    NAMES_WHAT_LACKS = auto()
    """A media service says what is missing at the camera, which tells more than how the camera's
    other service failed. ONVIF resolver."""
    DOUBTS_KEEPALIVE = auto()
    """A session that ends so at about its timeout may have had no keepalive that its camera counts.
    Trial of keepalives."""


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """One row of the reference. Nothing has a default: a new reason states all of it."""

    types: tuple[ConditionType, ...]
    meaning: str
    next_action: str
    """What a person does next; empty where there is nothing to do."""
    cause: Cause | None
    """Whose fault it is; None for the reason of a condition that is True."""
    effects: Effect

    def has(self, effect: Effect) -> bool:
        """Whether the reason has this effect."""
        return effect in self.effects


_C = ConditionType
_R = Reason
_E = Effect

_ROWS: dict[Reason, ReasonRow] = {
    _R.ACCEPTED: ReasonRow(
        (_C.ACCEPTED,), "The spec and everything it refers to make sense.", "", None, _E.NONE
    ),
    _R.NAMESPACE_NOT_ENROLLED: ReasonRow(
        (_C.ACCEPTED, _C.STALLED),
        "No RoleBinding of this namespace gives the operator the ClusterRole camfleet-tenant.",
        "Apply a RoleBinding to ClusterRole camfleet-tenant in this namespace.",
        Cause.SYSTEM,
        _E.MAY_ARRIVE,
    ),
    _R.SITE_NOT_FOUND: ReasonRow(
        (_C.ACCEPTED, _C.STALLED),
        "spec.siteRef names a Site that does not exist in this namespace.",
        "Create the Site or correct spec.siteRef.",
        Cause.SYSTEM,
        _E.MAY_ARRIVE,
    ),
    _R.PROFILE_NOT_FOUND: ReasonRow(
        (_C.ACCEPTED, _C.STALLED),
        "The TechnicalProfile referred to does not exist.",
        "Create the TechnicalProfile or correct profileRef.",
        Cause.SYSTEM,
        _E.MAY_ARRIVE,
    ),
    _R.MONITORING_SYSTEM_NOT_FOUND: ReasonRow(
        (_C.ACCEPTED, _C.STALLED),
        "A MonitoringSystem referred to does not exist.",
        "Create the MonitoringSystem or correct monitoringSystemRefs.",
        Cause.SYSTEM,
        _E.MAY_ARRIVE,
    ),
    _R.CREDENTIALS_NOT_DECLARED: ReasonRow(
        (_C.ACCEPTED, _C.STALLED),
        "Neither the Camera nor its Site says which credentials to use.",
        "Set spec.credentials on the Camera or on its Site.",
        Cause.SYSTEM,
        _E.NONE,
    ),
    _R.DUPLICATE_SOURCE: ReasonRow(
        (_C.ACCEPTED, _C.STALLED),
        "An older Camera already stands for the same video source.",
        "Delete one of the two, or correct host, port or channel.",
        Cause.SYSTEM,
        _E.NONE,
    ),
    _R.INVALID_SPEC: ReasonRow(
        (_C.ACCEPTED, _C.STALLED),
        "The stored spec does not pass today's schema.",
        "Apply the object again with the fields named in the message corrected.",
        Cause.SYSTEM,
        _E.NONE,
    ),
    _R.ASSIGNED: ReasonRow((_C.ASSIGNED,), "A shard holds the camera.", "", None, _E.NONE),
    _R.PAUSED: ReasonRow(
        (_C.ASSIGNED, _C.READY),
        "The Camera or its Site is paused.",
        "Set spec.paused to false to stream again.",
        Cause.PLANNED,
        _E.NONE,
    ),
    _R.NO_CAPACITY: ReasonRow(
        (_C.ASSIGNED, _C.READY),
        "No worker of this placement has room for the camera.",
        "Raise the operator's limit of workers per placement.",
        Cause.SYSTEM,
        _E.NONE,
    ),
    _R.PENDING: ReasonRow(
        (_C.ASSIGNED, *LADDER[2:], *SINKS, _C.READY),
        "Not known yet: an earlier step has not been passed.",
        "",
        Cause.CAMERA,
        _E.IS_UNKNOWN,
    ),
    _R.REACHABLE: ReasonRow(
        (_C.REACHABLE,), "The device answers on the ports it needs.", "", None, _E.NONE
    ),
    _R.HOST_UNREACHABLE: ReasonRow(
        (_C.REACHABLE,),
        "No route to the address, or nothing there answers.",
        "Check power, cable and address of the camera.",
        Cause.LINE,
        _E.SITE_WIDE,
    ),
    _R.CONNECTION_REFUSED: ReasonRow(
        (_C.REACHABLE,),
        "The host answers but refuses both the ONVIF and the RTSP port.",
        "Check the ports in the spec and that the camera has finished starting.",
        Cause.CAMERA,
        _E.SITE_WIDE,
    ),
    _R.ONVIF_OFF: ReasonRow(
        (_C.REACHABLE,),
        "RTSP answers, the ONVIF port is closed.",
        "Switch ONVIF on in the camera's settings, or correct spec.ports.onvif.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.RTSP_OFF: ReasonRow(
        (_C.REACHABLE,),
        "ONVIF answers, the RTSP port is closed.",
        "Switch RTSP on in the camera's settings, or correct spec.ports.rtsp.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.NAME_NOT_RESOLVED: ReasonRow(
        (_C.REACHABLE,),
        "The host name has no address.",
        "Correct spec.host or the name server's entry.",
        Cause.SYSTEM,
        _E.SITE_WIDE,
    ),
    _R.TIMEOUT: ReasonRow(
        (_C.REACHABLE, _C.ELIGIBLE, _C.STREAMING),
        "A connection was made, and no answer came in time.",
        "Check the line's load, and restart the camera if it hangs.",
        Cause.CAMERA,
        _E.SITE_WIDE,
    ),
    _R.TLS_FAILED: ReasonRow(
        (_C.REACHABLE,),
        "The TLS handshake failed.",
        "Check the camera's certificate and TLS version, or set spec.scheme to http and "
        "spec.rtspScheme to rtsp.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.CERTIFICATE_CHANGED: ReasonRow(
        (_C.REACHABLE,),
        "The device shows another TLS certificate than the one it was first seen with.",
        "If the change was intended, set spec.certificateFingerprint to the value in the message.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.SITE_UNREACHABLE: ReasonRow(
        (_C.REACHABLE,),
        "Most cameras of the site fell away together: one cause, not many.",
        "Check the site's power and line first; the cameras come back by themselves.",
        Cause.LINE,
        _E.NONE,
    ),
    _R.AUTHENTICATED: ReasonRow(
        (_C.AUTHENTICATED,), "The credentials open the camera.", "", None, _E.NONE
    ),
    _R.CREDENTIALS_MISSING: ReasonRow(
        (_C.AUTHENTICATED,),
        "The Secret with the camera's credentials does not exist.",
        "Create the Secret in the camera's namespace.",
        Cause.SYSTEM,
        _E.NONE,
    ),
    _R.CREDENTIALS_KEY_MISSING: ReasonRow(
        (_C.AUTHENTICATED,),
        "The Secret lacks the key that holds the user name or the password.",
        "Add the key to the Secret, or correct spec.credentials.",
        Cause.SYSTEM,
        _E.NONE,
    ),
    _R.SECRET_WRONG_TYPE: ReasonRow(
        (_C.AUTHENTICATED, _C.RELAYING),
        "The Secret is not of type camfleet.vnpt.vn/credentials and was not used.",
        "Create it again with type camfleet.vnpt.vn/credentials.",
        Cause.SYSTEM,
        _E.NONE,
    ),
    _R.CREDENTIALS_REJECTED: ReasonRow(
        (_C.AUTHENTICATED,),
        "The camera refuses the user name or password; attempts have stopped.",
        "Put the right password into the Secret and the account among the camera's ONVIF users; "
        "the next attempt follows the Secret's change.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.RTSP_CREDENTIALS_REJECTED: ReasonRow(
        (_C.AUTHENTICATED,),
        "ONVIF takes the credentials, RTSP refuses them; attempts have stopped.",
        "Give the account the right to view live video; the next attempt comes within half an "
        "hour, or with a change of the Secret.",
        Cause.CAMERA,
        _E.REFUSES_RTSP_LOGIN,
    ),
    _R.RTSP_PASSWORD_REJECTED: ReasonRow(
        (_C.AUTHENTICATED,),
        "RTSP refuses the user name or password, ONVIF asks for none; attempts have stopped.",
        "Put the right user name and password into the Secret; the next attempt follows the "
        "Secret's change.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.ACCOUNT_LOCKED: ReasonRow(
        (_C.AUTHENTICATED,),
        "The camera says that the account is locked.",
        "Wait until the camera unlocks it or unlock it there, then check the Secret.",
        Cause.CAMERA,
        _E.REFUSES_RTSP_LOGIN | _E.ENDS_LOGINS,
    ),
    _R.CLOCK_SKEW_REJECTED: ReasonRow(
        (_C.AUTHENTICATED,),
        "The camera refuses the login because of its clock, or its clock cannot be known.",
        "Set the camera's time zone and its time server; if that does not help, check the user "
        "name and the password.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.ELIGIBLE: ReasonRow(
        (_C.ELIGIBLE,), "An ONVIF camera with a stream the profile allows.", "", None, _E.NONE
    ),
    _R.NOT_ONVIF: ReasonRow(
        (_C.ELIGIBLE,),
        "The web port answers, but not as an ONVIF device.",
        "Switch ONVIF on, correct the port or path, or replace the camera.",
        Cause.CAMERA,
        _E.TRIES_HTTPS,
    ),
    _R.NO_ALLOWED_STREAM: ReasonRow(
        (_C.ELIGIBLE,),
        "The camera offers no stream that the technical profile allows.",
        "Set the camera's encoder to a codec the profile lists.",
        Cause.CAMERA,
        _E.ASKS_ONVIF_AGAIN | _E.NAMES_WHAT_LACKS,
    ),
    _R.CHANNEL_NOT_FOUND: ReasonRow(
        (_C.ELIGIBLE,),
        "The device has no such channel, video source or profile.",
        "Correct spec.source to a channel the device has.",
        Cause.CAMERA,
        _E.NAMES_WHAT_LACKS,
    ),
    _R.PROTOCOL_ERROR: ReasonRow(
        (_C.ELIGIBLE, _C.STREAMING),
        "The camera answers in a way that its protocol does not allow.",
        "Check the port in the spec and restart the camera; update its firmware if that does not "
        "help.",
        Cause.CAMERA,
        _E.ASKS_ONVIF_AGAIN | _E.TRIES_HTTPS,
    ),
    _R.STREAMING: ReasonRow(
        (_C.STREAMING,), "Whole access units arrive, with key frames.", "", None, _E.NONE
    ),
    _R.NO_FRAMES: ReasonRow(
        (_C.STREAMING,),
        "The session is open and no video arrives.",
        "Restart the camera; check the line if several cameras of the site do this.",
        Cause.CAMERA,
        _E.ASKS_ONVIF_AGAIN | _E.SITE_WIDE | _E.DOUBTS_KEEPALIVE,
    ),
    _R.NO_KEYFRAME: ReasonRow(
        (_C.STREAMING,),
        "Video arrives without a key frame.",
        "Shorten the key frame interval in the camera's encoder settings.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.AUDIO_ONLY: ReasonRow(
        (_C.STREAMING,),
        "Audio arrives, no picture.",
        "Switch the video encoder on in the camera's settings.",
        Cause.CAMERA,
        _E.ASKS_ONVIF_AGAIN,
    ),
    _R.SESSION_LIMIT: ReasonRow(
        (_C.STREAMING,),
        "The camera serves no further session.",
        "Close other viewers of this camera; we retry.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.STREAM_REFUSED: ReasonRow(
        (_C.STREAMING,),
        "The camera refuses to play the stream that it named.",
        "Restart the camera; check the stream's settings there.",
        Cause.CAMERA,
        _E.ASKS_ONVIF_AGAIN,
    ),
    _R.STREAM_REDIRECTED: ReasonRow(
        (_C.STREAMING,),
        "The camera redirects the stream to an address that is not declared.",
        "Correct spec.host or spec.ports.rtsp, or the redirect in the camera's settings.",
        Cause.CAMERA,
        _E.ASKS_ONVIF_AGAIN,
    ),
    _R.TRANSPORT_REFUSED: ReasonRow(
        (_C.STREAMING,),
        "The camera sends video by no transport that is allowed.",
        "Switch RTP over RTSP (TCP) on in the camera's settings, or allow UDP: "
        "spec.streams.udpFallback of the technical profile, and rtspScheme rtsp.",
        Cause.CAMERA,
        _E.ASKS_ONVIF_AGAIN,
    ),
    _R.NOT_RTSP: ReasonRow(
        (_C.STREAMING,),
        "The RTSP port answers, but not by RTSP.",
        "Correct spec.ports.rtsp; where the camera speaks TLS there, set spec.rtspScheme to rtsps.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.STREAM_ENDED: ReasonRow(
        (_C.STREAMING,),
        "The stream has ended: the camera closed it, or the connection broke.",
        "Nothing yet: we reconnect. If it goes on, check the camera's firmware and other viewers "
        "where the camera closes it, else the line.",
        Cause.CAMERA,
        _E.SITE_WIDE | _E.DOUBTS_KEEPALIVE,
    ),
    _R.RELAYING: ReasonRow(
        (_C.RELAYING,), "Every monitoring system asked for takes the stream.", "", None, _E.NONE
    ),
    _R.VMS_UNREACHABLE: ReasonRow(
        (_C.RELAYING,),
        "The monitoring system cannot be reached, or does not go on.",
        "Check that the monitoring system runs, its address in urlTemplate and the line to it.",
        Cause.VMS,
        _E.NONE,
    ),
    _R.VMS_WRONG_PROTOCOL: ReasonRow(
        (_C.RELAYING,),
        "What answers there does not speak the protocol of urlTemplate, or TLS where that is one "
        "over TLS.",
        "Correct protocol and port in the MonitoringSystem's urlTemplate; over TLS, version 1.2 or "
        "later is needed.",
        Cause.VMS,
        _E.NONE,
    ),
    _R.VMS_CERTIFICATE_INVALID: ReasonRow(
        (_C.RELAYING,),
        "The monitoring system's certificate does not verify; nothing is sent.",
        "Have it renewed or reissued for the name in urlTemplate, or put its authority's "
        "certificate into the key ca.crt of the Secret that the MonitoringSystem names.",
        Cause.VMS,
        _E.NONE,
    ),
    _R.VMS_REJECTED: ReasonRow(
        (_C.RELAYING,),
        "The monitoring system refuses the stream or the login.",
        "Check urlTemplate and the account that the monitoring system expects; its log says why it "
        "refuses.",
        Cause.VMS,
        _E.NONE,
    ),
    _R.VMS_NAME_IN_USE: ReasonRow(
        (_C.RELAYING,),
        "The monitoring system already has a publisher under the stream's name.",
        "Wait until it drops the connection that was lost; if that lasts, find out who else "
        "publishes under this name.",
        Cause.VMS,
        _E.NONE,
    ),
    _R.VMS_CREDENTIALS_MISSING: ReasonRow(
        (_C.RELAYING,),
        "The Secret for the monitoring system or its keys are missing in this namespace.",
        "Name a Secret in the MonitoringSystem, and create it in this namespace with username and "
        "password.",
        Cause.SYSTEM,
        _E.NONE,
    ),
    _R.VMS_CODEC_UNSUPPORTED: ReasonRow(
        (_C.RELAYING,),
        "The monitoring system does not list the stream's codec for its protocol, or refuses it.",
        "Set the camera to a codec that the monitoring system takes and the MonitoringSystem "
        "lists, or use another protocol.",
        Cause.VMS,
        _E.NONE,
    ),
    _R.VMS_TOO_SLOW: ReasonRow(
        (_C.RELAYING,),
        "The monitoring system or the line to it takes less than arrives; pictures are dropped.",
        "Check the line to the monitoring system, and its load.",
        Cause.VMS,
        _E.NONE,
    ),
    _R.RECORDING: ReasonRow((_C.RECORDING,), "The stream is on disk.", "", None, _E.NONE),
    _R.DISK_FULL: ReasonRow(
        (_C.RECORDING,),
        "The recording volume is full.",
        "Enlarge the volume or shorten the retention.",
        Cause.DISK,
        _E.NONE,
    ),
    _R.STORAGE_FAILED: ReasonRow(
        (_C.RECORDING,),
        "The recording volume cannot be written.",
        "Check the volume and the node it is on.",
        Cause.DISK,
        _E.NONE,
    ),
    _R.READY: ReasonRow((_C.READY,), "Everything the spec asks for works.", "", None, _E.NONE),
    _R.WORKER_LOST: ReasonRow(
        (_C.READY, *LADDER[2:], *SINKS),
        "The worker has not been heard of; what the camera does is not known.",
        "Look at the worker's pod and its node.",
        Cause.SYSTEM,
        _E.IS_UNKNOWN,
    ),
    _R.FROZEN: ReasonRow(
        (_C.IMAGE_HEALTHY,),
        "The stream goes on with a picture that stands still, noise included.",
        "Restart the camera, and the recorder if it stands behind one.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.BLACK: ReasonRow(
        (_C.IMAGE_HEALTHY,),
        "Nothing can be seen: the picture is black.",
        "Take off what covers the lens, check the light and the night mode, "
        "and at a recorder the camera's cable.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.OVEREXPOSED: ReasonRow(
        (_C.IMAGE_HEALTHY,),
        "Most of the picture is burnt out.",
        "Turn the camera away from the light, or correct its exposure.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.COVERED: ReasonRow(
        (_C.IMAGE_HEALTHY,),
        "Most of what the camera usually shows is hidden.",
        "Clear the view: look for a cover, paint or a new obstacle before the lens.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.BLURRED: ReasonRow(
        (_C.IMAGE_HEALTHY,),
        "The picture has lost most of the detail it usually has.",
        "Clean the glass, then focus the camera.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.MOVED: ReasonRow(
        (_C.IMAGE_HEALTHY,),
        "The camera shows another view than before.",
        "Turn it back. If the new view is meant, pause the Camera and resume it: "
        "its view is then learnt anew.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.CLOCK_OFF: ReasonRow(
        (_C.TIME_SYNCHRONIZED,),
        "The camera's clock differs from ours.",
        "Set the camera's time zone and its time server.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.CLOCK_UNREADABLE: ReasonRow(
        (_C.TIME_SYNCHRONIZED,),
        "The camera does not tell its time.",
        "Set the camera's time server; update its firmware.",
        Cause.CAMERA,
        _E.IS_UNKNOWN,
    ),
    _R.DIFFERS_FROM_PROFILE: ReasonRow(
        (_C.CONFORMANT,),
        "The stream differs from the technical profile.",
        "Set the camera's encoder to the values named in the message.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.DEVICE_CHANGED: ReasonRow(
        (_C.IDENTITY_STABLE,),
        "Another device answers at this address than before.",
        "If the exchange was intended, set spec.serialNumber to the new one, "
        "else correct the address.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.SHARED_IDENTITY: ReasonRow(
        (_C.IDENTITY_STABLE,),
        "Another declared device answers with the same identity.",
        "Check that both addresses are right; a cloned device needs a firmware repair.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.FLAPPING: ReasonRow(
        (_C.STABLE,),
        "The stream breaks and returns again and again.",
        "Check the camera's power supply, cable and line; where the camera closes the stream "
        "itself, its firmware, load and other viewers.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.ALL_READY: ReasonRow(
        (_C.CAMERAS_READY,), "Every camera of the site is Ready.", "", None, _E.NONE
    ),
    _R.SOME_NOT_READY: ReasonRow(
        (_C.CAMERAS_READY,),
        "Some cameras are not Ready.",
        "See kubectl get cameras.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.NONE_READY: ReasonRow(
        (_C.CAMERAS_READY,),
        "No camera of the site is Ready.",
        "Check the site's power and line first.",
        Cause.CAMERA,
        _E.NONE,
    ),
    _R.NO_CAMERAS: ReasonRow(
        (_C.CAMERAS_READY,),
        "No Camera refers to the site.",
        "Declare the site's cameras.",
        Cause.SYSTEM,
        _E.NONE,
    ),
    _R.COVERAGE_MET: ReasonRow(
        (_C.COVERED,), "Every zone has the cameras it needs.", "", None, _E.NONE
    ),
    _R.COVERAGE_GAP: ReasonRow(
        (_C.COVERED,),
        "A zone has fewer cameras declared than required.",
        "Install and declare the cameras named in the message.",
        Cause.SYSTEM,
        _E.NONE,
    ),
}


def _complete(rows: dict[Reason, ReasonRow]) -> dict[Reason, ReasonRow]:
    """The rows, if every reason has one."""
    missing = [reason.name for reason in Reason if reason not in rows]
    if missing:
        raise ValueError(f"without a row in _ROWS: {', '.join(missing)}")
    return rows


REASONS: Mapping[Reason, ReasonRow] = MappingProxyType(_complete(_ROWS))
"""The one place for what a reason means, to people and to camfleet."""


def reasons_with(effect: Effect) -> frozenset[str]:
    """All reasons that have an effect, to look up what a condition says."""
    return frozenset(reason for reason, row in REASONS.items() if row.has(effect))


def cause_of(reason: Reason) -> Cause:
    """Whose gap a failure with this reason makes. ValueError where it is no failure."""
    cause = REASONS[reason].cause
    if cause is None:
        raise ValueError(f"{reason} is the reason of a True condition")
    return cause


class Condition(SparseModel):
    """A Kubernetes condition (metav1.Condition).

    Items are atomic under server-side apply: otherwise a forced handover between field managers
    leaves half a condition behind and every later apply fails with 422. An empty message is left
    out: readers of metav1.Condition take an absent one as empty, and a healthy camera has nine.
    """

    atomic: ClassVar[bool] = True

    type: Annotated[str, Field(min_length=1, max_length=64, description="Type of the condition.")]
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z]+$",
            description="CamelCase reason from a closed set.",
        ),
    ]
    message: Annotated[
        str,
        Field(max_length=512, description="The fact, then the next action of a person."),
    ] = ""
    last_transition_time: datetime = Field(
        description="When the fact began, kept across unchanged writes."
    )
    observed_generation: Annotated[
        int, Field(ge=0, description="metadata.generation this condition was computed from.")
    ] = 0


def condition_of(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """The condition of this type; None where it is absent."""
    return next((one for one in conditions if one.type == kind), None)


_RANK = {kind.value: rank for rank, kind in enumerate(ConditionType)}


def in_ladder_order(conditions: Iterable[Condition]) -> list[Condition]:
    """As people read them: the ladder, the sinks, Ready, what stands beside.

    Writers of a status send them so; the API server keeps the order in which they came first.
    """
    return sorted(conditions, key=lambda one: _RANK.get(one.type, len(_RANK)))


def merge_transition(new: Condition, old: Condition | None) -> Condition:
    """Keep the time at which the fact began: it changes only when status changes.

    Kubernetes API conventions: lastTransitionTime is the time the condition changed from one
    status to another, so a new reason under the same status does not move it.
    """
    if old is None or old.status != new.status:
        return new
    return new.model_copy(update={"last_transition_time": old.last_transition_time})
