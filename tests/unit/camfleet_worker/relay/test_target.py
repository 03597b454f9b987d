# SPDX-License-Identifier: Apache-2.0
"""Where a stream goes: the template filled in, and what cannot be used said."""

from __future__ import annotations

import pytest

from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.relay.target import StreamNames, relay_target, unsupported_codec

NAMES = StreamNames("phu-yen", "s1", "gate", "0a1b2c3d")
BOTH = (Codec.H264, Codec.H265)


@pytest.mark.parametrize(
    ("protocol", "template", "url"),
    [
        (
            RelayProtocol.RTSP,
            "rtsp://vms.example/{namespace}/{site}/{camera}",
            "rtsp://vms.example:554/phu-yen/s1/gate",
        ),
        (RelayProtocol.RTSP, "rtsp://vms:8554/live?id={uid}", "rtsp://vms:8554/live?id=0a1b2c3d"),
        (RelayProtocol.RTSP, "rtsp://[2001:db8::1]/{uid}", "rtsp://[2001:db8::1]:554/0a1b2c3d"),
        (RelayProtocol.RTSPS, "rtsps://vms/live/{camera}", "rtsps://vms:322/live/gate"),
        (RelayProtocol.RTMP, "rtmp://vms/live/{camera}", "rtmp://vms:1935/live/gate"),
        (RelayProtocol.RTMPS, "rtmps://vms/live/{camera}", "rtmps://vms:443/live/gate"),
    ],
)
def test_the_template_is_filled_in(protocol: RelayProtocol, template: str, url: str) -> None:
    assert relay_target(protocol, template, NAMES, BOTH).url == url


@pytest.mark.parametrize(
    "template",
    [
        "rtsp://vms/{province}",
        "rtsp://vms/{}",
        "rtmp://vms/{camera}",
        "rtsp:///{camera}",
        "rtsp://vms:99999/{camera}",
        "rtsp://vms..example/{camera}",
        "rtsp://user:secret@vms/{camera}",
    ],
)
def test_a_template_that_names_no_stream_is_refused_until_it_is_changed(template: str) -> None:
    with pytest.raises(IngestError) as refused:
        relay_target(RelayProtocol.RTSP, template, NAMES, BOTH)
    assert refused.value.reason is Reason.VMS_REJECTED
    assert refused.value.retry is Retry.ON_SPEC_CHANGE
    assert "secret" not in refused.value.message


def test_a_codec_that_is_not_listed_is_said() -> None:
    target = relay_target(RelayProtocol.RTMP, "rtmp://vms/{camera}", NAMES, [Codec.H264])
    assert unsupported_codec(target, Codec.H264) is None
    error = unsupported_codec(target, Codec.H265)
    assert error is not None
    assert error.reason is Reason.VMS_CODEC_UNSUPPORTED


def test_the_password_shows_in_no_form_of_a_target() -> None:
    account = Credentials("push", "hush-hush", "1")
    target = relay_target(RelayProtocol.RTSP, "rtsp://vms/{camera}", NAMES, BOTH, account)
    assert "hush-hush" not in f"{target} {target!r} {target.url} {target.authority}"
