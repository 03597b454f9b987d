# SPDX-License-Identifier: Apache-2.0
"""Asking for a TokenReview where the API server, or what stands before it, answers badly. What a
real one says is in `cluster/test_snapshot_viewer.py`."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from camfleet_worker.cluster.connection import Connection
from camfleet_worker.cluster.errors import ClusterError, Trouble
from camfleet_worker.cluster.token_reviews import REVIEW_TIMEOUT_S, TokenReviews

TOKEN = "eyJ0b2tlbiI6MX0.secret.signature"


@asynccontextmanager
async def _answering(
    folder: Path, status: str, body: str, timeout_s: float = REVIEW_TIMEOUT_S
) -> AsyncIterator[TokenReviews]:
    """Reviews by a server that gives every request the same answer; an empty status is silence."""

    conversations: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        if status:
            fields = "Content-Type: application/json\r\nRetry-After: 7\r\nConnection: close"
            head = f"HTTP/1.1 {status}\r\n{fields}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write((head + body).encode())
        else:
            while await reader.read(4096):  # until the client gives up
                pass
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "ours"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    async with server, await Connection.open(kubeconfig) as connection:
        yield TokenReviews(connection, "camfleet-snapshots", timeout_s)
    await asyncio.gather(*(one for one in conversations if one is not None))


@pytest.mark.parametrize(
    ("status", "answer", "trouble"),
    [
        pytest.param("403 Forbidden", {}, Trouble.FORBIDDEN, id="no right to review"),
        pytest.param("429 Too Many Requests", {}, Trouble.THROTTLED, id="throttled"),
        pytest.param("500 Internal Server Error", {}, Trouble.UNAVAILABLE, id="broken"),
        pytest.param("200 OK", "no JSON", Trouble.UNAVAILABLE, id="no JSON"),
        pytest.param("200 OK", {"spec": {"token": 1}}, Trouble.UNAVAILABLE, id="another type"),
        pytest.param("200 OK", {"status": TOKEN}, Trouble.UNAVAILABLE, id="no status"),
        pytest.param("200 OK", [TOKEN], Trouble.UNAVAILABLE, id="no object"),
        pytest.param("", {}, Trouble.UNAVAILABLE, id="silence"),
    ],
)
async def test_a_bad_answer_raises_an_error_without_the_token(
    tmp_path: Path,
    status: str,
    answer: object,
    trouble: Trouble,
) -> None:
    body = answer if isinstance(answer, str) else json.dumps(answer)
    async with _answering(tmp_path, status, body, timeout_s=1.0) as reviews:
        with pytest.raises(ClusterError) as raised:
            await reviews.review(TOKEN)
    assert raised.value.trouble is trouble
    told = "".join(traceback.format_exception(raised.value))
    assert TOKEN not in told
    if trouble is Trouble.THROTTLED:
        assert raised.value.retry_after_s == 7


@pytest.mark.parametrize("answer", [{}, {"status": {}}, {"status": {"authenticated": False}}])
async def test_an_answer_that_refuses_a_token_is_no_error(
    tmp_path: Path, answer: dict[str, object]
) -> None:
    body = json.dumps({"spec": {"token": TOKEN}, **answer})
    async with _answering(tmp_path, "201 Created", body) as reviews:
        reviewed = await reviews.review(TOKEN)
    assert (reviewed.authenticated, reviewed.user, reviewed.audiences) == (False, "", frozenset())
