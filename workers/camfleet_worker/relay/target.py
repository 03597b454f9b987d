# SPDX-License-Identifier: Apache-2.0
"""The address of one camera's stream at a monitoring system, and the failures there.

Pure: the sink factory makes it from a MonitoringSystem's URL template. Credentials are kept beside
the URL, never in it, because URLs reach logs. A protocol it does not know needs a port in its URL;
protocols.py decides whether there is a relay for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.media_types.codec_outputs import VIDEO_OUTPUTS

_DEFAULT_PORTS = {
    RelayProtocol.RTSP: 554,
    RelayProtocol.RTSPS: 322,
    RelayProtocol.RTMP: 1935,
    RelayProtocol.RTMPS: 443,
}
_OVER_TLS = (RelayProtocol.RTSPS, RelayProtocol.RTMPS)
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True, slots=True)
class StreamNames:
    """The names that a URL template may contain."""

    namespace: str
    site: str
    camera: str
    uid: str


@dataclass(frozen=True, slots=True)
class RelayTarget:
    """One stream at a monitoring system. Its repr shows no password: Credentials hides it."""

    protocol: RelayProtocol
    host: str
    port: int
    path: str
    """The path with its leading slash, and the query where there is one."""
    codecs: frozenset[Codec]
    credentials: Credentials | None = None
    authorities: str = field(default="", repr=False)
    """Certificates in PEM that are trusted in addition to the operating system's; may be empty."""

    @property
    def url(self) -> str:
        """The URL without credentials, for logs and for the request line."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.protocol}://{host}:{self.port}{self.path}"

    @property
    def over_tls(self) -> bool:
        """Whether the protocol is one over TLS."""
        return self.protocol in _OVER_TLS

    @property
    def authority(self) -> str:
        """Host and port, as messages name the monitoring system."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def failure(self, reason: Reason, what: str, retry: Retry = Retry.BACKOFF) -> IngestError:
        """A failure of Relaying; `what` ends the sentence that begins with the system's name."""
        detail = f"The monitoring system at {self.authority} {what}"
        return IngestError(ConditionType.RELAYING, reason, detail, retry)


def relay_target(
    protocol: RelayProtocol,
    url_template: str,
    names: StreamNames,
    codecs: Iterable[Codec],
    credentials: Credentials | None = None,
    authorities: str = "",
) -> RelayTarget:
    """Fill in the template. IngestError where it can name no stream."""
    url = _PLACEHOLDER.sub(lambda match: _value(match[1], names), url_template)
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise _unusable("names a port that is none") from None
    if parts.scheme != protocol or not parts.hostname:
        raise _unusable(f"is no {protocol} URL with a host")
    if port is None and (port := _DEFAULT_PORTS.get(protocol)) is None:
        raise _unusable(f"names no port, and {protocol} has none that is usual")
    if not _is_host(parts.hostname):
        raise _unusable("names a host that is none")
    if parts.username is not None or parts.password is not None:
        raise _unusable("holds credentials, which belong in the Secret")
    return RelayTarget(
        protocol=protocol,
        host=parts.hostname,
        port=port,
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        codecs=frozenset(codecs),
        credentials=credentials,
        authorities=authorities,
    )


def unsupported_codec(target: RelayTarget, codec: Codec) -> IngestError | None:
    """Why this codec cannot be relayed, or None."""
    if codec in target.codecs or not VIDEO_OUTPUTS[codec].relayed_only_if_listed:
        return None
    return IngestError(
        ConditionType.RELAYING,
        Reason.VMS_CODEC_UNSUPPORTED,
        f"The stream is {codec}, which the monitoring system at {target.authority} does not list "
        f"for {target.protocol}",
        Retry.ON_SPEC_CHANGE,
    )


def _is_host(host: str) -> bool:
    """Whether it can be resolved at all; getaddrinfo raises no OSError for one that cannot."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _value(name: str, names: StreamNames) -> str:
    known = {
        "namespace": names.namespace,
        "site": names.site,
        "camera": names.camera,
        "uid": names.uid,
    }
    if name not in known:
        raise _unusable("names something other than {namespace}, {site}, {camera} and {uid}")
    return known[name]


def _unusable(what: str) -> IngestError:
    return IngestError(
        ConditionType.RELAYING,
        Reason.VMS_REJECTED,
        f"The urlTemplate of the MonitoringSystem {what}",
        Retry.ON_SPEC_CHANGE,
    )
