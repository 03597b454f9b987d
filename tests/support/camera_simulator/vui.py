# SPDX-License-Identifier: Apache-2.0
"""H.264 streams without video usability information, as many cameras write them.

x264 always writes it, and says in it how many pictures change places; many cameras leave a decoder
to guess. Called by footage.py, when it makes such a clip.
"""

from __future__ import annotations

import re

from camera_simulator.clips import nal_type, split_annex_b

_START_CODE = b"\x00\x00\x00\x01"


def stream_without_vui(data: bytes) -> bytes:
    """An Annex B stream with the VUI cut out of every SPS."""
    return b"".join(
        _START_CODE + (sps_without_vui(unit) if nal_type(unit, "h264") == 7 else unit)
        for unit in split_annex_b(data)
    )


def sps_without_vui(sps: bytes) -> bytes:
    """An SPS of Baseline, Main or Extended profile (ITU-T H.264 §7.3.2.1.1), up to the VUI."""
    payload = sps[1:].replace(b"\x00\x00\x03", b"\x00\x00")
    bits = "".join(f"{octet:08b}" for octet in payload)
    at = 24
    for _ in range(2):  # seq_parameter_set_id, log2_max_frame_num_minus4
        _, at = _exp_golomb(bits, at)
    order_type, at = _exp_golomb(bits, at)
    if payload[0] >= 100 or order_type == 1:
        raise ValueError("an SPS with fields that are not read here")
    for _ in range(1 if order_type == 0 else 0):  # log2_max_pic_order_cnt_lsb_minus4
        _, at = _exp_golomb(bits, at)
    _, at = _exp_golomb(bits, at)  # max_num_ref_frames
    at += 1
    for _ in range(2):  # width and height
        _, at = _exp_golomb(bits, at)
    at += 2 if bits[at] == "1" else 3  # frame_mbs_only_flag (and what its absence brings), 8x8
    at += 1
    for _ in range(4 if bits[at - 1] == "1" else 0):  # frame_cropping_flag
        _, at = _exp_golomb(bits, at)
    kept = bits[:at] + "0" + "1"  # vui_parameters_present_flag, rbsp_stop_one_bit
    kept += "0" * (-len(kept) % 8)
    plain = int(kept, 2).to_bytes(len(kept) // 8, "big")
    return sps[:1] + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", plain)


def _exp_golomb(bits: str, at: int) -> tuple[int, int]:
    """Value and where the next field begins (§9.1)."""
    one = bits.index("1", at)
    end = one + (one - at) + 1
    return int(bits[one:end], 2) - 1, end
