# SPDX-License-Identifier: Apache-2.0
"""Of an address that a camera returns, path and query are kept and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.login.credentials import Credentials
from camfleet_worker.resolve.addresses import (
    PASSWORD_PLACE,
    authority,
    hidden,
    named_port,
    path_and_query,
    revealed,
)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("http://192.168.1.88/onvif/media_service", "/onvif/media_service"),
        (
            "rtsp://10.0.0.1:554/Streaming/Channels/101?transportmode=unicast&profile=Profile_1",
            "/Streaming/Channels/101?transportmode=unicast&profile=Profile_1",
        ),
        ("rtsp://admin:secret@10.0.0.1/live", "/live"),
        ("rtsp://admin:se/cret@10.0.0.1/live", "/live"),
        ("rtsp://admin:1234/5@cam.site/live", "/live"),
        ("rtsp://nvr:554/live@2", "/live@2"),
        ("rtsp://admin:se@cret@10.0.0.1:554/live", "/live"),
        ("rtsp://10.0.0.1/live/mail@camera", "/live/mail@camera"),
        ("rtsp://10.0.0.1:554/live@2", "/live@2"),
        ("rtsp://[fe80::1]:554/live", "/live"),
        ("http://10.0.0.1:80:80/onvif/media", "/onvif/media"),
        ("http://10.0.0.1?wsdl", "/?wsdl"),
        ("http://10.0.0.1", "/"),
        ("/onvif/device_service", "/onvif/device_service"),
        ("onvif/media", "/onvif/media"),
        (" rtsp://10.0.0.1/a b/%20c\r\n", "/a%20b/%20c"),
        ("rtsp://10.0.0.1/cửa", "/c%E1%BB%ADa"),
        ("rtsp://10.0.0.1/live#part", "/live"),
        ("//evil.example/x", "//evil.example/x"),
        ("192.168.1.88/onvif/media", "/onvif/media"),
        ("192.168.1.88:8080/onvif/media", "/onvif/media"),
        ("//192.168.1.88/live?ch=1", "/live?ch=1"),
        ("admin:secret@192.168.1.88:554/live", "/live"),
        ("admin:se@cret@192.168.1.88:554/live", "/live"),
        ("[fe80::1%25eth0]:80/onvif/media", "/onvif/media"),
        ("http://[fe80::1%25eth0]:80/onvif/media", "/onvif/media"),
        ("localhost:554/live", "/live"),
        ("camera.local:80/onvif/media", "/onvif/media"),
        ("192.168.1.88", "/"),
        ("10.0.0.1.sdp", "/10.0.0.1.sdp"),
        ("live.sdp", "/live.sdp"),
    ],
)
def test_path_and_query_survive(address: str, path: str) -> None:
    assert path_and_query(address) == path


@given(st.text(max_size=200))
def test_any_address_gives_one_line_of_visible_ascii(address: str) -> None:
    path = path_and_query(address)
    assert path.startswith("/")
    assert all(0x21 <= ord(char) <= 0x7E for char in path)


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=16)
PATHS = st.from_regex(r"/[a-z0-9/]{0,20}(\?[a-z0-9=&]{1,20})?", fullmatch=True)


@given(SECRETS)
def test_credentials_in_an_address_are_dropped(secret: str) -> None:
    assert path_and_query(f"rtsp://admin:{secret}@10.0.0.1:554/live") == "/live"


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("rtsp://10.0.0.1:8554/live", 8554),
        ("rtsp://user:1234@10.0.0.1/live", None),
        ("rtsp://[fe80::1]:8554/live", 8554),
        ("rtsp://[fe80::1]/live", None),
        ("/live", None),
        ("192.168.1.88:8554/live", 8554),
    ],
)
def test_the_port_that_a_camera_names_is_read(address: str, port: int | None) -> None:
    assert named_port(address) == port


def test_an_ipv6_address_stands_in_brackets_before_its_port() -> None:
    assert authority("fd00::1", 8554) == "[fd00::1]:8554"
    assert authority("cam-1.site", 80) == "cam-1.site:80"


def test_a_password_that_a_camera_writes_into_its_path_is_not_kept() -> None:
    account = Credentials("admin", "p@ssw/rd", "1")
    path = path_and_query("rtsp://10.0.0.1/user=admin&password=p@ssw/rd&channel=1")
    kept = hidden(path, account)
    assert kept == f"/user=admin&password={PASSWORD_PLACE}&channel=1"
    assert revealed(kept, account) == "/user=admin&password=p%40ssw%2Frd&channel=1"


@given(PATHS, SECRETS)
def test_hiding_takes_the_password_out_and_revealing_puts_it_back(path: str, secret: str) -> None:
    account = Credentials("admin", secret, "1")
    whole = path_and_query(f"rtsp://h{path}/{secret.replace('#', '')}")
    kept = hidden(whole, account)
    assert revealed(hidden(path, account), account) == path
    if "#" not in secret:
        assert PASSWORD_PLACE in kept


def test_a_password_named_password_is_hidden_too() -> None:
    account = Credentials("admin", "password", "1")
    assert revealed(hidden("/a/password", account), account) == "/a/password"
