# SPDX-License-Identifier: Apache-2.0
"""Login challenges of HTTP and RTSP: read, and answered by Basic and Digest with MD5 and SHA-256.

RFC 9110 section 11, RFC 2617, RFC 7616. Pure except the client nonce. Used by both doors of a
camera, onvif and rtsp, and by the relay. It counts no attempts and decides no retries: the caller
limits them, because cameras lock accounts.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from camfleet_worker.base.octets import OCTETS


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme that a server offers, with its parameters by lower-case name."""

    scheme: str
    """In lower case."""
    parameters: dict[str, str]
    name: str = ""
    """The scheme as the server writes it."""

    @property
    def stale(self) -> bool:
        """The nonce was too old and the credentials were right (RFC 2617 section 3.2.1)."""
        return self.parameters.get("stale", "").lower() == "true"


class Authorization(Protocol):
    """What stands in the Authorization header, for one request at a time."""

    scheme: str
    name: str
    """Scheme and algorithm: two challenges of one name differ in their nonces only."""

    def header(self, method: str, uri: str) -> str:
        """The value for this method and exactly this request URI."""
        ...


Skip = Callable[[str], None]
"""Called with each element of a challenge that cannot be read."""


def ignore(element: str) -> None:
    """For a caller that does not note what is skipped."""


_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]++"
"""RFC 9110 section 5.6.2."""
# One element of WWW-Authenticate: `name=value`, `name="value"`, or a word. Some servers put several
# challenges into one header, so schemes may stand in the middle. What lies between elements is for
# `search` to pass over: patterns for it, and ones that try again with less, take minutes for a
# header of blanks.
_ELEMENT = re.compile(
    rf"""(?P<name>{_WORD})\s*+=\s*+(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"?|(?P<bare>[^\s,]*+))
        | (?P<word>{_WORD})(?P<opens>\s++(?={_WORD}\s*+=))?
        | (?P<junk>[^\s,]++)
    """,
    re.VERBOSE,
)
_TOKEN68 = re.compile(r"\s++[A-Za-z0-9._~+/-]++=*+(?=\s*+(?:,|\Z))")
"""What stands behind a scheme instead of parameters (RFC 9110 section 11.2)."""
_WITH_PARAMETERS = ("basic", "digest")
_SCHEMES = frozenset(
    {*_WITH_PARAMETERS, "bearer", "concealed", "dpop", "gnap", "hoba", "mutual", "negotiate"}
    | {"ntlm", "oauth", "privatetoken", "scram-sha-1", "scram-sha-256", "vapid"}
)
"""The registry of IANA, and NTLM."""


def parse_challenges(values: Iterable[str], skip: Skip = ignore) -> list[Challenge]:
    """Every challenge of all WWW-Authenticate headers, in the server's order.

    An element that cannot be read costs neither its challenge nor those beside it.
    """
    return [challenge for value in values for challenge in _challenges(value, skip)]


def _challenges(value: str, skip: Skip) -> Iterator[Challenge]:
    current: Challenge | None = None
    at = 0
    while element := _ELEMENT.search(value, at):
        at = element.end()
        if _begins_challenge(element, first=current is None):
            if current is not None:
                yield current
            current = Challenge(element["word"].lower(), {}, element["word"])
            if current.scheme not in _WITH_PARAMETERS:
                token = _TOKEN68.match(value, element.end("word"))
                at = token.end() if token else at
        elif element["name"] and current is not None:
            # The text between the quotes is taken as it stands: RFC 2617 section 1.2 hashes
            # unq(value), which drops the quotes and nothing else.
            text = element["quoted"] if element["quoted"] is not None else element["bare"]
            current.parameters.setdefault(element["name"].lower(), _as_sent(text))
        else:
            skip(element[0].strip())
    if current is not None:
        yield current


def _begins_challenge(element: re.Match[str], *, first: bool) -> bool:
    """Whether a word is a scheme. One that we do not know, amid the parameters of a challenge and
    without any of its own, is a parameter that lacks its value, or belongs to a list in no quotes.
    """
    word: str | None = element["word"]
    return word is not None and (first or bool(element["opens"]) or word.lower() in _SCHEMES)


def _as_sent(text: str) -> str:
    """Text of a header, which was read octet by octet, so that encoding it as UTF-8 with
    surrogates gives its octets back: a realm is hashed and echoed as it came, in any encoding."""
    try:
        return text.encode("latin-1").decode(errors=OCTETS)
    except UnicodeEncodeError:
        return text


class Authorizer:
    """Chooses the best challenge that one account can answer."""

    def __init__(
        self,
        username: str,
        password: str,
        new_cnonce: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._username = username
        self._password = password
        self._new_cnonce = new_cnonce

    def answer(self, challenges: Iterable[Challenge]) -> Authorization | None:
        """The answer to the strongest challenge that we can compute; None without one."""
        return next(iter(self.answers(challenges)), None)

    def answers(self, challenges: Iterable[Challenge]) -> list[Authorization]:
        """The answers to all challenges that we can compute, the strongest first, each kind once.

        RFC 7616 section 3.7 lets the server order them; cameras put Basic or MD5 first for the
        oldest of their clients (quirk 8). Basic shows the password to every listener.
        """
        best: dict[str, Authorization] = {}
        for challenge in challenges:
            if can_answer(challenge):
                digest = _Digest(self._username, self._password, challenge, self._new_cnonce)
                best.setdefault(digest.name, digest)
            elif challenge.scheme == "basic":
                best.setdefault("Basic", _Basic(self._username, self._password))
        return sorted(best.values(), key=lambda answer: _STRENGTH.index(answer.name))


_STRENGTH = ("Digest SHA-256", "Digest SHA-256-SESS", "Digest MD5", "Digest MD5-SESS", "Basic")
"""The session variants come after the plain ones: fewer cameras implement them correctly."""


class _Basic:
    scheme = name = "Basic"

    def __init__(self, username: str, password: str) -> None:
        pair = f"{username}:{password}".encode()
        self._value = f"Basic {base64.b64encode(pair).decode()}"

    def header(self, method: str, uri: str) -> str:
        return self._value


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(errors=OCTETS), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors=OCTETS)).hexdigest()


_HASHES: dict[str, Callable[[str], str]] = {"MD5": _md5, "SHA-256": _sha256}


def _algorithm(challenge: Challenge) -> str:
    """The algorithm to use, as the server writes it: of a list the first that we can compute, else
    the whole; "" where none is stated, which means MD5."""
    stated = challenge.parameters.get("algorithm", "").strip()
    listed = (name.strip() for name in stated.split(","))
    return next((name for name in listed if name and _hash_of(name) in _HASHES), stated)


def _hash_of(algorithm: str) -> str:
    """Name of the hash of an algorithm, which may be its session variant."""
    return algorithm.upper().removesuffix("-SESS")


def can_answer(challenge: Challenge) -> bool:
    """Whether this is a Digest challenge that we can compute an answer to."""
    qop = challenge.parameters.get("qop")
    return (
        challenge.scheme == "digest"
        and "nonce" in challenge.parameters
        and _hash_of(_algorithm(challenge) or "MD5") in _HASHES
        and (not qop or "auth" in _options(qop))
    )


def _options(qop: str) -> set[str]:
    return {option.strip().lower() for option in qop.split(",")}


class _Digest:
    scheme = "Digest"

    def __init__(
        self, username: str, password: str, challenge: Challenge, new_cnonce: Callable[[], str]
    ) -> None:
        given = challenge.parameters
        # Echoed only where it was sent: old firmware refuses parameters it does not know.
        self._algorithm = _algorithm(challenge)
        name = _hash_of(self._algorithm or "MD5")
        session = self._algorithm.upper().endswith("-SESS")
        self.name = f"Digest {name}{'-SESS' if session else ''}"
        self._hash = _HASHES[name]
        self._username = username
        self._realm = given.get("realm", "")
        self._nonce = given["nonce"]
        self._opaque = given.get("opaque")
        self._qop = bool(given.get("qop"))
        self._new_cnonce = new_cnonce
        self._count = 0
        self._session_cnonce = new_cnonce() if session else ""
        secret = self._hash(f"{username}:{self._realm}:{password}")
        if session:
            secret = self._hash(f"{secret}:{self._nonce}:{self._session_cnonce}")
        self._secret = secret

    def header(self, method: str, uri: str) -> str:
        """RFC 2617 section 3.2.2; without qop as section 3.2.2.1 keeps it for RFC 2069."""
        request = self._hash(f"{method}:{uri}")
        fields = [
            f"username={_quoted(self._username)}",
            f'realm="{self._realm}"',
            f'nonce="{self._nonce}"',
            f"uri={_quoted(uri)}",
        ]
        if self._qop:
            self._count += 1
            cnonce = self._session_cnonce or self._new_cnonce()
            count = f"{self._count:08x}"
            digest = self._hash(f"{self._secret}:{self._nonce}:{count}:{cnonce}:auth:{request}")
            fields += [f'response="{digest}"', "qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
        else:
            digest = self._hash(f"{self._secret}:{self._nonce}:{request}")
            fields.append(f'response="{digest}"')
            if self._session_cnonce:
                fields.append(f'cnonce="{self._session_cnonce}"')
        if self._opaque is not None:
            fields.append(f'opaque="{self._opaque}"')
        if self._algorithm:
            fields.append(f"algorithm={self._algorithm}")
        return "Digest " + ", ".join(fields)


def _quoted(text: str) -> str:
    """A quoted-string; the hash is taken over the text itself, as curl and cameras do."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
