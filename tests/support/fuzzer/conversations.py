# SPDX-License-Identifier: Apache-2.0
"""Whole conversations with a camera whose answers are mutated: the RTSP client and the ONVIF
resolver over real sockets.

A conversation must end in a stream or in an IngestError, within its deadline, without a connection
to any address but the declared one and without the password in what is said about it. Connections
are seen by an audit hook (PEP 578), so the code under test is not touched.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from camfleet_api.camera import Scheme, VideoSource
from camfleet_api.policy import StreamRole
from camfleet_api.technical_profile import VideoLimits
from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.onvif.resolver import OnvifResolver
from camfleet_worker.onvif.transport import Deadlines
from camfleet_worker.resolve import ResolveRequest
from camfleet_worker.rtsp.client import StreamTarget, open_stream
from fuzzer.mutation import mutated
from fuzzer.structure import mutated_elements, mutated_lines

_RECORDINGS = Path(__file__).parent / "recordings"
_LOGIN = Credentials("ingest", "c0nversation", "v1")
_CALL_S = 2.0
"""Far more than an answer takes while _AT_ONCE conversations share a busy core."""
_PATIENCE_S = 20.0
_AT_ONCE = 16


@dataclass
class Heard:
    """What came of a run."""

    streams: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def split_answers(recorded: bytes) -> list[bytes]:
    """The RTSP answers of a recording, the last with the media behind it."""
    starts = [found.start() for found in re.finditer(rb"RTSP/1\.0 \d", recorded)]
    return [recorded[a:b] for a, b in zip(starts, [*starts[1:], len(recorded)], strict=True)]


def rtsp_script(number: int) -> list[bytes]:
    """The answers of one hostile RTSP conversation."""
    chance = random.Random(number)
    recorded = (_RECORDINGS / f"rtsp-{chance.choice(('h264', 'h265'))}.bin").read_bytes()
    return _spoilt(split_answers(recorded), chance, (mutated, mutated_lines, mutated_lines))


def onvif_script(number: int) -> list[bytes]:
    """The answers of one hostile ONVIF conversation, one a connection."""
    chance = random.Random(number)
    codec = chance.choice(("h264", "h265"))
    answers = [file.read_bytes() for file in sorted(_RECORDINGS.glob(f"soap-{codec}-*.bin"))]
    return _spoilt(answers, chance, (mutated, mutated_elements, mutated_lines))


def _spoilt(
    answers: list[bytes],
    chance: random.Random,
    ways: Sequence[Callable[[Sequence[bytes], int], bytes]],
) -> list[bytes]:
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(answers))
        answers[at] = chance.choice(ways)([answers[at]], chance.getrandbits(32))
    return answers


class _Camera:
    """Plays a script: an answer for each request, whatever is asked."""

    def __init__(self, script: list[bytes], answers_per_connection: int) -> None:
        self._script = list(script)
        self._answers = answers_per_connection
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """The port it listens on; at the end every connection is closed and gone."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            for _ in range(self._answers):
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                if length:
                    await reader.readexactly(int(length[1]))
                if not self._script:
                    break
                writer.write(self._script.pop(0))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the other side has had enough
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def converse(first: int, count: int) -> Heard:
    """Hold conversations `first` to `first + count`, even numbers by RTSP, odd ones by ONVIF."""
    heard, turns = Heard(), asyncio.Semaphore(_AT_ONCE)
    resolver = OnvifResolver(deadlines=Deadlines(connect_s=_CALL_S, call_s=_CALL_S))
    strangers = _watch_connections()

    async def one(number: int) -> None:
        async with turns:
            hold = _by_onvif(resolver, number) if number % 2 else _by_rtsp(number)
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await hold
                heard.streams += 1
            except IngestError as error:
                heard.refusals[error.reason] = heard.refusals.get(error.reason, 0) + 1
                if _LOGIN.password in f"{error} {error.message}" or len(error.message) > 512:
                    heard.findings.append(f"{number}: says {error.message[:600]!r}")
            except Exception as error:
                heard.findings.append(f"{number}: {type(error).__name__}: {error}")

    await asyncio.gather(*(one(number) for number in range(first, first + count)))
    resolver.close()
    heard.findings += [f"a connection to {address}" for address in strangers]
    return heard


async def _by_rtsp(number: int) -> None:
    async with _Camera(rtsp_script(number), 99).listening() as port:
        stream = await open_stream(
            StreamTarget.at("127.0.0.1", port, "/main"), _LOGIN, deadline_s=_CALL_S
        )
        stream.socket.close()


async def _by_onvif(resolver: OnvifResolver, number: int) -> None:
    async with _Camera(onvif_script(number), 1).listening() as port:
        request = ResolveRequest(
            host="127.0.0.1",
            onvif_port=port,
            rtsp_port=port,
            scheme=Scheme.HTTP,
            device_path="/onvif/device_service",
            source=VideoSource(channel=1),
            limits=VideoLimits(min_width=16, min_height=16, min_frames_per_second=1),
            role=StreamRole.MAIN,
        )
        await resolver.resolve(request, _LOGIN, attempts=_FreeGate())


class _FreeGate:
    """A gate that counts nothing: there is no account behind it."""

    async def before_attempt(self, scheme: str) -> None:
        """Always."""

    async def proven(self, scheme: str) -> None:
        """Noted nowhere."""

    async def rejected(self, scheme: str, error: IngestError) -> None:
        """Noted nowhere."""


_strangers: list[str] = []
_watching = False


def _watch_connections() -> list[str]:
    """Addresses other than loopback that anything connects or sends to from now on."""
    global _watching
    if not _watching:
        sys.addaudithook(_audit)
        _watching = True
    _strangers.clear()
    return _strangers


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
        if host not in ("127.0.0.1", "::1"):
            _strangers.append(f"{host}:{arguments[1][1]}")
