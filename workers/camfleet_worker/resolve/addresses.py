# SPDX-License-Identifier: Apache-2.0
"""Reads addresses that a camera returns: only their path and query are used.

Cameras return their LAN address, their factory address, 127.0.0.1 or another port (behind NAT all
of them are wrong), and a hostile camera returns a host of its choice. So host and port are always
the declared ones, and credentials in a URL are dropped.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from camfleet_worker.login.credentials import Credentials

MAX_PATH = 512
"""Limit of status.learned.streamPath; ONVIF Media2 limits URIs to 128 octets."""

MIN_HIDDEN = 4
"""A shorter password is not looked for: half of all paths would contain it by chance."""

PASSWORD_PLACE = "{password}"  # noqa: S105 - where a password was

_SCHEME = re.compile(r"^\s*[A-Za-z][A-Za-z0-9+.-]*:/{2,}")
# "192.168.1.88:80/onvif/media": without a scheme, only a text that cannot be a path is a host.
_SCHEMELESS = re.compile(
    r"^\s*(?://)?(?:[^/?#]*@)?"
    r"(?P<host>(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.%\w]+\]|localhost)(?::\d+)?"
    r"|[\w-]+(?:\.[\w-]+)+:\d+)(?=[/?#]|\s*$)"
)
_IPV4 = re.compile(r"^\d+\.\d+\.\d+\.\d+(:\d+)*$")
_HOST = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[\w-]+(\.[\w-]+)+|[\w-]+(?=:\d))(:\d+)?$")
_PORT = re.compile(r":(\d{1,5})$")
# RFC 3986 section 2: reserved and unreserved characters, and "%" because cameras quote.
_AS_IT_IS = "!#$%&'()*+,/:;=?@[]~"


def path_and_query(address: str) -> str:
    """Path and query of a returned address, on one line of visible ASCII."""
    _, rest = _split(address)
    rest = quote(rest.split("#", 1)[0].strip(), safe=_AS_IT_IS)
    return rest if rest.startswith("/") else f"/{rest}"


def named_port(address: str) -> int | None:
    """The port in a returned address, which only a message to a person mentions."""
    authority, _ = _split(address)
    match = _PORT.search(authority)
    return int(match[1]) if match else None


def authority(host: str, port: int) -> str:
    """host:port as it stands in a URL (RFC 3986 section 3.2.2: IPv6 in brackets)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def hidden(path: str, credentials: Credentials | None) -> str:
    """The path with {password} in place of the password, where a device put it there.

    Some makers name streams /user=admin&password=…, which would be a leak in the status. A brace
    of the device cannot be mistaken for it, because path_and_query quotes braces.
    """
    if credentials is None or len(credentials.password) < MIN_HIDDEN:
        return path
    forms = sorted(_forms(credentials.password), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, forms)), PASSWORD_PLACE, path)


def revealed(path: str, credentials: Credentials | None) -> str:
    """The path as the device knows it: the password that `hidden` took out is put back, quoted."""
    if credentials is None:
        return path
    return path.replace(PASSWORD_PLACE, quote(credentials.password, safe=""))


def _forms(value: str) -> tuple[str, str, str]:
    """The forms of a value in a path: quoted wholly, quoted as a path is, or unchanged."""
    return quote(value, safe=""), quote(value, safe=_AS_IT_IS), value


def _split(address: str) -> tuple[str, str]:
    """Split into authority (credentials dropped) and the rest.

    A password may hold "/", and a camera that pastes it into the URL does not quote it: then the
    credentials end at the last "@" that a host follows, not where the authority seems to end.
    """
    scheme = _SCHEME.match(address)
    if scheme is None:
        return _split_schemeless(address)
    rest = address[scheme.end() :]
    end = _end_of_authority(rest)
    _, at, after = rest.rpartition("@")
    if at and ":" in rest[:end] and not _IPV4.match(rest[:end]):
        host = after[: _end_of_authority(after)]
        if _HOST.match(host):
            return host, after[len(host) :]
    return rest[:end].rpartition("@")[2], rest[end:]


def _split_schemeless(address: str) -> tuple[str, str]:
    host = _SCHEMELESS.match(address)
    if host is None:
        return "", address.strip()
    return host["host"], address[host.end() :]


def _end_of_authority(rest: str) -> int:
    return next((at for at, char in enumerate(rest) if char in "/?#"), len(rest))
