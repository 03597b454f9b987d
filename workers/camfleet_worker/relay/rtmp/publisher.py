# SPDX-License-Identifier: Apache-2.0
"""One RTMP connection that publishes: a blocking socket with a deadline for everything.

Called by the RTMP relay's thread. av can open rtmp:// by itself, but gives its output neither a
timeout nor a way to interrupt it (18.1, tried: a frozen server held the thread for ever), so the
socket is ours. OSError and RtmpError leave it as they are; a
refusal is a PublishRefused (refusal.py).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self
from urllib.parse import quote

from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.skipped import SKIPPED, Part
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.media_types.codec_outputs import VIDEO_OUTPUTS
from camfleet_worker.relay.rtmp import messages
from camfleet_worker.relay.rtmp.amf0 import AmfValue
from camfleet_worker.relay.rtmp.flv import FlvTag
from camfleet_worker.relay.rtmp.refusal import CONNECT, CREATE_STREAM, PUBLISH, refusal
from camfleet_worker.relay.target import RelayTarget
from camfleet_worker.relay.tcp_unacked import unacknowledged_octets
from camfleet_worker.relay.timings import RelayTimings
from camfleet_worker.relay.vms_tls import vms_tls

_LISTEN_EVERY_S = 1.0
_READ_BYTES = 65_536
_SHOWN_BYTES = 4096
"""Far more than the log shows of it once secrets are out."""
_EXPECTED = ("_result", "_error", "onStatus", "onFCPublish", "onBWDone")
"""Commands that are awaited, and those that servers send to every publisher."""


class RtmpPublisher:
    """Publishes one stream; as a context manager it closes the connection."""

    def __init__(self, target: RelayTarget, codec: Codec, timings: RelayTimings) -> None:
        self._target = target
        self._timings = timings
        self._reader = messages.ChunkReader()
        self._listened_at = 0.0
        self._taken_octets = 0
        self._acknowledged_octets = 0
        self._progress_at = time.monotonic()
        """When the peer's TCP was last seen to acknowledge anything."""
        self._socket = _connected(target, timings)
        try:
            self._shake_hands()
            self._stream = self._publish(target, codec)
            self._socket.settimeout(timings.progress_s)
        except TimeoutError as error:
            self._socket.close()
            raise _no_answer(target) from error
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                stream = float(self._stream)
                self._socket.sendall(messages.command("deleteStream", 0, None, stream))
        except OSError:
            return  # the peer has gone already
        finally:
            self._socket.close()

    def send(self, tags: Iterable[FlvTag]) -> int:
        """Send a message for each tag; returns how many octets that took."""
        data = b"".join([messages.media(tag, self._stream) for tag in tags])
        if data:
            with self._named_ends():
                self._socket.sendall(data)
            self._taken_octets += len(data)
        return len(data)

    def unacknowledged(self) -> int:
        """Octets that the peer's TCP has not acknowledged. Called regularly."""
        waiting = unacknowledged_octets(self._socket.fileno())
        acknowledged = self._taken_octets - waiting
        if not waiting or acknowledged > self._acknowledged_octets:
            self._acknowledged_octets = acknowledged
            self._progress_at = time.monotonic()
        return waiting

    @contextmanager
    def _named_ends(self) -> Iterator[None]:
        """Python's ssl loses why a write failed: EOF is also what it makes of ETIMEDOUT, by which
        TCP_USER_TIMEOUT ends a connection on which nothing is acknowledged."""
        try:
            yield
        except ssl.SSLEOFError as error:
            silent_s = time.monotonic() - self._progress_at
            if silent_s > self._timings.progress_s / 2:
                raise TimeoutError from error
            raise ConnectionResetError from error

    def listen(self) -> None:
        """Answer pings, and notice that the server closed the connection. Called regularly."""
        now = time.monotonic()
        if now - self._listened_at < _LISTEN_EVERY_S:
            return
        self._listened_at = now
        self._socket.setblocking(False)
        try:
            with self._named_ends():
                data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        finally:
            self._socket.settimeout(self._timings.progress_s)
        if not data:
            raise ConnectionResetError
        for item in self._reader.feed(data):
            self._take(item)

    def _take(self, item: messages.Message) -> messages.Command | None:
        answer = messages.pong(item)
        if answer is not None:
            self._socket.sendall(answer)
        received = messages.as_command(item)
        self._note_skipped(item, received)
        if received is not None and _is_refusal(received):
            raise refusal(received.values, received.transaction)
        return received

    def _note_skipped(self, item: messages.Message, received: messages.Command | None) -> None:
        if received is None:
            if not messages.is_control(item):
                self._skip(Part.RTMP_MESSAGE, f"kind {item.kind}: {_shown(item.body)}")
            return
        if received.unread:
            self._skip(Part.AMF_VALUE, f"{received.name}: {_shown(received.unread)}")
        if received.name not in _EXPECTED:
            self._skip(Part.RTMP_COMMAND, received.name)

    def _skip(self, part: Part, excerpt: str) -> None:
        SKIPPED.note(part, self._target.url, self._target.authority, excerpt)

    def _shake_hands(self) -> None:
        self._socket.sendall(messages.hello())
        # S0 first, which says at once whether the rest will ever come; then S1 and S2.
        version = messages.rtmp_version(self._read_exactly(1))
        self._socket.sendall(
            messages.echo(version + self._read_exactly(2 * messages.HANDSHAKE_BYTES))
        )

    def _read_exactly(self, size: int) -> bytes:
        deadline = time.monotonic() + self._timings.answer_s
        data = bytearray()
        while len(data) < size:
            chunk = self._socket.recv(size - len(data))
            if not chunk:
                raise ConnectionResetError
            data += chunk
            if time.monotonic() > deadline:
                raise TimeoutError
        return bytes(data)

    def _publish(self, target: RelayTarget, codec: Codec) -> int:
        application, name = _application_and_name(target)
        about: dict[str, AmfValue] = {
            "app": application,
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; camfleet)",
            "tcUrl": f"{target.protocol}://{target.authority}/{application}",
        }
        four_cc = VIDEO_OUTPUTS[codec].rtmp_four_cc
        if four_cc is not None:
            about["fourCcList"] = [four_cc]  # Enhanced RTMP v1
        self._socket.sendall(
            messages.set_chunk_size() + messages.command("connect", CONNECT, about)
        )
        self._await("_result", CONNECT)
        self._socket.sendall(
            # Older servers want the first two; all others ignore them.
            messages.command("releaseStream", 2, None, name)
            + messages.command("FCPublish", 3, None, name)
            + messages.command("createStream", CREATE_STREAM, None)
        )
        created = self._await("_result", CREATE_STREAM)
        number = created.values[1] if len(created.values) > 1 else None
        stream = int(number) if isinstance(number, float) else 1
        self._socket.sendall(
            messages.command("publish", PUBLISH, None, name, "live", stream=stream)
        )
        self._await("onStatus", 0)
        return stream

    def _await(self, name: str, transaction: int) -> messages.Command:
        """The awaited answer; other messages of the server are answered or ignored meanwhile."""
        deadline = time.monotonic() + self._timings.answer_s
        while time.monotonic() < deadline:
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError
            found: messages.Command | None = None
            for item in self._reader.feed(data):
                received = self._take(item)
                if received is None or received.name != name:
                    continue
                if name == "onStatus" or received.transaction == transaction:
                    found = received
            if found is not None:
                return found
        raise TimeoutError


def _connected(target: RelayTarget, timings: RelayTimings) -> socket.socket:
    plain = socket.create_connection((target.host, target.port), timeout=timings.connect_s)
    plain.settimeout(timings.answer_s)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    user_timeout_ms = int(timings.progress_s * 1000)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout_ms)
    if not target.over_tls:
        return plain
    try:
        return vms_tls(target.authorities).wrap_socket(plain, server_hostname=target.host)
    except TimeoutError as error:
        plain.close()
        raise _no_answer(target) from error
    except BaseException:
        plain.close()
        raise


def _no_answer(target: RelayTarget) -> IngestError:
    return target.failure(Reason.VMS_UNREACHABLE, "takes connections but does not answer")


def _application_and_name(target: RelayTarget) -> tuple[str, str]:
    """The first part of the path, and the rest with the login in its query.

    RTMP itself knows no login; user and pass in the query of the stream's name are what servers
    pass on for the decision (nginx's on_publish, MediaMTX).
    """
    application, _, name = target.path.lstrip("/").partition("/")
    if target.credentials is not None:
        login = (
            f"user={quote(target.credentials.username, safe='')}"
            f"&pass={quote(target.credentials.password, safe='')}"
        )
        name += ("&" if "?" in name else "?") + login
    return application, name


def _shown(octets: bytes) -> str:
    return octets[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")


def _is_refusal(received: messages.Command) -> bool:
    if received.name == "_error":
        return received.transaction in (CONNECT, CREATE_STREAM, PUBLISH)
    return received.name == "onStatus" and any(
        isinstance(value, dict) and value.get("level") == "error" for value in received.values
    )
