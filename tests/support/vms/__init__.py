# SPDX-License-Identifier: Apache-2.0
"""The monitoring system (VMS) of tests and demo: it takes RTSP RECORD and RTMP, counts, and shows.

`RecordServer` is a GStreamer RTSP server in a process of its own that counts what it receives frame
by frame; `RtmpServer` is nginx with its RTMP module. Neither shares code with the product. See
DESIGN.md.
"""

from vms.image_context import prepare_image_context
from vms.record_server import RecordServer, StreamCounts
from vms.rtmp_server import RtmpServer, RtmpStream

__all__ = ["RecordServer", "RtmpServer", "RtmpStream", "StreamCounts", "prepare_image_context"]
