# SPDX-License-Identifier: Apache-2.0
"""RTP over UDP, for cameras that send in no other way: datagrams as interleaved frames.

Made by the handshake where the profile allows it (quirk 32), then owned by the media loop, which
reads it like a TCP connection: `recv_into` puts each datagram behind the four octets of an
interleaved frame. It sends to and takes from the address of the RTSP connection only. Packets that
overflow the kernel's receive buffer are lost and counted by sequence numbers; no queue of ours
grows with a burst (quirk 45).
"""

from __future__ import annotations

import socket
import struct

from camfleet_worker.rtsp.headers import InterleavedIds, UdpPorts
from camfleet_worker.rtsp.message import (
    FRAME_HEAD,
    INTERLEAVED,
    MessageError,
    parse_message,
)

IDS = InterleavedIds(0, 1)
"""The interleaved ids of frames that are made of datagrams."""
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""A key frame of 400 kB arrives between two ticks; the kernel caps this at net.core.rmem_max."""
_LONGEST_DATAGRAM = 0xFFFF
_MOST_DATAGRAMS = 2048
_MAX_CONTROL_BYTES = 512 * 1024
_LATE_WINDOW = 1024
"""A packet that is behind by more than this is the first of a restarted sender."""
_BIND_TRIES = 32
_RTP_OPENER = struct.pack("!BBHII", 0x80, 0, 0, 0, 0)
_RTCP_OPENER = struct.pack("!BBHI", 0x80, 201, 1, 0)
"""An empty packet from each of our ports opens the way back through NAT and firewalls."""


class UdpSocket:
    """A control connection and the two UDP sockets of one media."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._peer = control.getpeername()[0]
        self._rtp, self._rtcp = _bound_pair(control.family, control.getsockname()[0])
        self._rtcp_to: tuple[str, int] | None = None
        self._from_control = bytearray()
        self._to_control = bytearray()
        self._ended = False
        self._newest: int | None = None
        self.late_packets = 0
        self.foreign_packets = 0

    @property
    def client_ports(self) -> UdpPorts:
        """The two ports on which we receive."""
        return UdpPorts(self._rtp.getsockname()[1], self._rtcp.getsockname()[1])

    def open_way(self, server: UdpPorts) -> None:
        """Send a packet to each port that the camera named, at the address of the RTSP peer."""
        self._rtcp_to = (self._peer, server.rtcp)
        for sender, packet, port in (
            (self._rtp, _RTP_OPENER, server.rtp),
            (self._rtcp, _RTCP_OPENER, server.rtcp),
        ):
            _send_datagram(sender, packet, (self._peer, port))

    def unread(self, data: bytes) -> None:
        """Take back octets of the control connection that the handshake did not use."""
        self._from_control += data

    def recv_into(self, buffer: memoryview, /) -> int:
        """Messages first, then reports, then packets in the order of their numbers."""
        filled = self._take_messages(buffer)
        filled += self._take_reports(buffer[filled:])
        filled += self._take_packets(buffer[filled:])
        if filled == 0 and not self._ended:
            raise BlockingIOError
        return filled

    def send(self, data: bytes | bytearray, /) -> int:
        """Messages on the connection, interleaved frames as datagrams to the camera's RTCP port."""
        at = 0
        while at < len(data):
            if data[at] == INTERLEAVED:
                _, _, length = FRAME_HEAD.unpack_from(data, at)
                following = at + FRAME_HEAD.size + length
                if self._rtcp_to is not None:
                    packet = bytes(data[at + FRAME_HEAD.size : following])
                    _send_datagram(self._rtcp, packet, self._rtcp_to)
            else:
                _, following = parse_message(data, at, len(data))
                self._to_control += data[at:following]
            at = following
        if self._to_control:
            del self._to_control[: self._control.send(self._to_control)]
        return len(data)

    def shutdown(self, how: int, /) -> None:
        """Half-close the control connection."""
        self._control.shutdown(how)

    def close(self) -> None:
        """Close all three."""
        for each in (self._control, self._rtp, self._rtcp):
            each.close()

    def release(self) -> None:
        """Close the UDP sockets only: the control connection goes on."""
        self._rtp.close()
        self._rtcp.close()

    def fileno(self) -> int:
        """Of the control connection."""
        return self._control.fileno()

    def _take_messages(self, room: memoryview) -> int:
        """Whole messages only: a frame must not stand in the middle of one."""
        self._read_control()
        held = self._from_control
        end = 0
        while end < len(held):
            try:
                _, following = parse_message(held, end, len(held))
            except MessageError:
                following = len(held)  # the receiver reports what is wrong with it
            if following == end or following > len(room):
                break
            end = following
        room[:end] = held[:end]
        del held[:end]
        return end

    def _read_control(self) -> None:
        try:
            data = self._control.recv(64 * 1024)
        except BlockingIOError:
            return
        self._ended = self._ended or not data
        self._from_control += data
        if len(self._from_control) > _MAX_CONTROL_BYTES:
            raise ConnectionAbortedError("the camera's message does not end")

    def _take_reports(self, room: memoryview) -> int:
        filled = 0
        for _ in range(16):
            length = self._datagram(self._rtcp, room[filled:], IDS.rtcp)
            if length == 0:
                break
            filled += length
        return filled

    def _take_packets(self, room: memoryview) -> int:
        """Packets that overtook each other since the last tick are put in order again."""
        frames: list[tuple[int, int, int]] = []  # distance to the first, begin, end
        filled, first, sorted_already = 0, 0, True
        for _ in range(_MOST_DATAGRAMS):
            length = self._datagram(self._rtp, room[filled:], IDS.rtp)
            if length == 0:
                break
            if length < FRAME_HEAD.size + 12:
                continue
            number = room[filled + 6] << 8 | room[filled + 7]
            if self._is_late(number):
                self.late_packets += 1
                continue
            first = number if not frames else first
            distance = _distance(first, number)
            sorted_already = sorted_already and (not frames or distance > frames[-1][0])
            frames.append((distance, filled, filled + length))
            filled += length
        if not frames:
            return 0
        if not sorted_already:
            frames.sort()
            room[:filled] = b"".join(bytes(room[begin:end]) for _, begin, end in frames)
        self._newest = first + frames[-1][0] & 0xFFFF
        return filled

    def _is_late(self, number: int) -> bool:
        """Passed over in an earlier tick, so its gap has been counted already."""
        if self._newest is None:
            return False
        return -_LATE_WINDOW < _distance(self._newest, number) <= 0

    def _datagram(self, source: socket.socket, room: memoryview, channel: int) -> int:
        """One datagram as an interleaved frame; 0 where there is none, or no room for one."""
        while len(room) >= FRAME_HEAD.size + _LONGEST_DATAGRAM:
            try:
                length, address = source.recvfrom_into(room[FRAME_HEAD.size :], _LONGEST_DATAGRAM)
            except BlockingIOError:
                return 0
            except ConnectionRefusedError:
                continue  # ICMP for a datagram of ours, which means nothing for theirs
            if address[0] != self._peer:
                self.foreign_packets += 1
                continue
            FRAME_HEAD.pack_into(room, 0, INTERLEAVED, channel, length)
            return FRAME_HEAD.size + length
        return 0


def _distance(first: int, number: int) -> int:
    """How far ahead a sequence number is, with the wrap (RFC 3550 section A.1)."""
    return (number - first + 0x8000 & 0xFFFF) - 0x8000


def _send_datagram(sender: socket.socket, packet: bytes, to: tuple[str, int]) -> None:
    try:
        sender.sendto(packet, to)
    except OSError:
        pass  # a report or greeting that is lost is repeated or was not needed


def _bound_pair(family: int, host: str) -> tuple[socket.socket, socket.socket]:
    """An even port for RTP and the next one for RTCP (RFC 3550 section 11)."""
    for _ in range(_BIND_TRIES):
        rtp = _bound(family, host, 0)
        port = rtp.getsockname()[1]
        if port % 2 == 0:
            try:
                return rtp, _bound(family, host, port + 1)
            except OSError:
                pass
        rtp.close()
    raise OSError("no pair of UDP ports is free")


def _bound(family: int, host: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
