# SPDX-License-Identifier: Apache-2.0
"""Compiles what every packet passes through, in an installed copy of the worker.

    python workers/compile_media.py FOLDER

FOLDER holds `camfleet_worker` and what it imports, as `pip install --target` leaves them. Beside
each module named below, mypyc puts an extension module made from that very file, which Python
imports instead of it; the sources stay and run as well without. Called by the image's build and by
`make compiled`. Exit status 1, with mypyc's words, where it refuses or no compiler is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "camfleet_worker"
COMPILED = (
    "containers/boxes.py",
    "containers/fragment.py",
    "containers/mp4.py",
    "media/audio_receiver.py",
    "media/counters.py",
    "media/receiver.py",
    "media/sink_fanout.py",
    "media/stream.py",
    "media/watchdog.py",
    "media_types/access_unit.py",
    "media_types/audio_queue.py",
    "media_types/audio_unit.py",
    "media_types/delivery_log.py",
    "media_types/sink_state.py",
    "record/layout.py",
    "record/open_segment.py",
    "record/recorded_audio.py",
    "record/recording.py",
    "record/write_progress.py",
    "relay/ack_tracker.py",
    "relay/gop_queue.py",
    "relay/rtsp/audio.py",
    "relay/rtsp/packets.py",
    "relay/rtsp/publisher.py",
    "relay/rtsp/relay.py",
    "rtp/audio.py",
    "rtp/bits.py",
    "rtp/depacketiser.py",
    "rtp/packet.py",
    "rtp/reception.py",
    "rtp/recovery_point.py",
    "rtp/rtcp.py",
    "rtp/slice_header.py",
    "timeline/audio.py",
    "timeline/clock_rate.py",
    "timeline/earliest_arrival.py",
    "timeline/reorder.py",
    "timeline/timeline.py",
    "timeline/timestamp_sense.py",
)
"""What runs for every access unit or tick of every camera. Nothing that waits for a person, a
camera's answer or the API server is worth it."""

# Types of foreign libraries are not needed: where one is met, its objects are handled as Python's.
_MYPY_CONFIG = """\
[mypy]
explicit_package_bases = true
namespace_packages = true
follow_imports = silent
ignore_missing_imports = true
"""


def compile_in(folder: Path) -> int:
    """mypyc's exit status; its words go to the standard streams where it is not 0."""
    with tempfile.TemporaryDirectory(prefix="camfleet-compile-") as scratch:
        config = Path(scratch) / "mypy.ini"
        config.write_text(_MYPY_CONFIG)
        done = subprocess.run(
            [sys.executable, "-m", "mypyc", "--config-file", str(config)]
            + [f"{PACKAGE}/{module}" for module in COMPILED],
            cwd=folder,
            env=os.environ | {"MYPYPATH": ".", "MYPYC_DEBUG_LEVEL": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    shutil.rmtree(folder / "build", ignore_errors=True)
    shutil.rmtree(folder / ".mypy_cache", ignore_errors=True)
    if done.returncode:
        sys.stderr.write(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(compile_in(Path(sys.argv[1])))
