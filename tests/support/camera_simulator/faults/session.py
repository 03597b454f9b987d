# SPDX-License-Identifier: Apache-2.0
"""RTSP sessions: transports, keepalive, limits, headers (quirks 28–33, 39, 51, 54, 58)."""

from __future__ import annotations

from camera_simulator.faults.fault import Fault

_RETINA = "scottlamb/retina 0.3.8–0.4.17"
_DIALECTS = {
    "lf-only": "Answers and SDP have line ends without CR.",
    "lower-case": "Header names are in lower case.",
    "folded": "Header values go on in the next line.",
    "no-cseq": "Answers have no CSeq.",
    "wrong-cseq": "Every answer has CSeq 1.",
    "http-status-line": "Answers begin with HTTP/1.1.",
    "rtsp-1.1": "Answers begin with RTSP/1.1.",
    "trailing-semicolons": "Session and Transport end in a semicolon and blanks.",
    "schemeless-base": "Content-Base has no rtsp:// before the host.",
    "inner-base": "Content-Base names an inner address.",
    "no-content-type": "The SDP has no Content-Type.",
    "no-content-base": "The SDP has no Content-Base.",
    "bare-sdp": "The SDP has no version, origin or session line.",
    "inner-control": "The control URL is absolute and names an inner address.",
    "star-control": "The only track has the control *.",
    "no-control": "The only track has no control.",
    "session-changes": "The answer to PLAY names another session id, which counts from then on.",
    "ssrc-with-blanks": "The ssrc of the Transport header has blanks in it.",
    "bad-rtp-info": "RTP-Info has empty and endless numbers.",
    "requests-of-its-own": "The camera sends requests between its packets.",
    "garbage-between-packets": "Octets that belong to nothing stand between packets.",
}
_INCOMPLETE = {
    "unreadable-medium": (
        "A third medium has no payload type, and the session no control.",
        "scottlamb/moonfire-nvr#238, bluenviron/mediamtx#990, bluenviron/gortsplib#509",
    ),
    "query-control": ("The control of the track is a query alone.", "bluenviron/gortsplib"),
    "session-control-base": (
        "The control of the session is another URL, and that of the track relative to it.",
        "aler9/rtsp-simple-server#683",
    ),
    "several-payload-types": (
        "The video has two payload types, the first of a codec that nobody knows.",
        "RFC 4566 section 5.14",
    ),
    "setup-without-session": ("Answers name no session.", "bluenviron/mediamtx#840"),
    "transport-without-ids": (
        "The answer to SETUP names TCP and no channels.",
        "bluenviron/gortsplib#142",
    ),
}

FAULTS = (
    Fault(
        "rtsp-basic-only",
        "RTSP takes Basic and nothing else.",
        "both",
        {"rtsp_schemes": ("basic",)},
        quirk=8,
    ),
    *(
        Fault(
            f"closes-{how}-after-401",
            f"A challenge is the last answer on its connection, {sentence}.",
            "replay",
            {"closes_after_401": how},
            "scottlamb/retina#45, ngraziano/SharpRTSP#127",
            quirk=54,
        )
        for how, sentence in (("announced", "which says so"), ("silently", "without a word"))
    ),
    Fault(
        "frozen",
        "The session stands, no packet comes.",
        "both",
        {"freeze": True},
        "AlexxIT/go2rtc#1847, bluenviron/mediamtx#196",
        quirk=39,
    ),
    Fault(
        "one-session",
        "A second RTSP session is answered 453 Not Enough Bandwidth.",
        "replay",
        {"max_sessions": 1},
        "roflcoopter/viseron#800, AlexxIT/go2rtc#75",
        quirk=28,
    ),
    Fault(
        "session-timeout-10s",
        "A session without keepalive ends after ten seconds.",
        "replay",
        {"session_timeout_s": 10},
        "scottlamb/retina 0.1.0, bluenviron/mediamtx#842",
        quirk=29,
    ),
    Fault(
        "udp-only",
        "SETUP over TCP is answered 461 Unsupported Transport.",
        "replay",
        {"transports": ("UDP",)},
        "bluenviron/mediamtx#173",
        quirk=32,
    ),
    Fault(
        "session-limit-403",
        "A second RTSP session is answered 403 Forbidden.",
        "replay",
        {"max_sessions": 1, "rtsp_refusal": 403},
        "keshavdv/unifi-cam-proxy#340",
        quirk=28,
    ),
    Fault(
        "sessions-linger",
        "One session; one whose connection is lost keeps its place until its timeout.",
        "replay",
        {"max_sessions": 1, "sessions_linger": True, "session_timeout_s": 2},
        "AlexxIT/go2rtc#75, scottlamb/retina#34",
        quirk=28,
    ),
    Fault(
        "overloaded",
        "SETUP is answered 503 Service Unavailable.",
        "replay",
        {"rtsp_refuses": "SETUP", "rtsp_refusal": 503},
        quirk=28,
    ),
    Fault(
        "keepalive-options-only",
        "Only OPTIONS keeps a session alive, though others are named and answered.",
        "replay",
        {"keepalive": ("OPTIONS",), "session_timeout_s": 2},
        "AlexxIT/go2rtc#2409",
        quirk=29,
    ),
    Fault(
        "keepalive-get-parameter-only",
        "Only GET_PARAMETER keeps a session alive, though others are named and answered.",
        "replay",
        {"keepalive": ("GET_PARAMETER",), "session_timeout_s": 2},
        "bluenviron/mediamtx#1066",
        quirk=29,
    ),
    Fault(
        "keepalive-set-parameter-only",
        "Only SET_PARAMETER keeps a session alive, though others are named and answered.",
        "replay",
        {"keepalive": ("SET_PARAMETER",), "session_timeout_s": 2},
        "ngraziano/SharpRTSP#63",
        quirk=29,
    ),
    *(
        Fault(
            f"keepalive-{method.lower().replace('_', '-')}-unnamed",
            f"Only {method} keeps a session alive, and Public does not name it.",
            "replay",
            {
                "keepalive": (method,),
                "rtsp_methods_unnamed": ("GET_PARAMETER", "SET_PARAMETER"),
                "session_timeout_s": 2,
            },
            "Streamedian/html5_rtsp_player#73",
            quirk=58,
        )
        for method in ("GET_PARAMETER", "SET_PARAMETER")
    ),
    Fault(
        "keepalive-reports-only",
        "No method keeps a session alive, RTCP reports do; the methods are not even known.",
        "replay",
        {"keepalive": ("RTCP",), "rtsp_methods": (), "session_timeout_s": 2},
        "AxisCommunications/media-stream-library-js#100",
        quirk=29,
    ),
    Fault(
        "timeout-unstated",
        "A session ends after half a minute without keepalive, and no answer says so.",
        "replay",
        {"session_timeout_s": 30, "session_timeout_text": "unstated"},
        "bluenviron/mediamtx#842",
        quirk=29,
    ),
    Fault(
        "timeout-absurd",
        "The session's timeout is a number that no clock holds.",
        "replay",
        {"session_timeout_text": "99999999999999999999"},
        quirk=29,
    ),
    Fault(
        "keepalive-wants-session",
        "A keepalive without the Session header is answered and counts for nothing.",
        "replay",
        {"keepalive": ("GET_PARAMETER", "OPTIONS"), "session_timeout_s": 3},
        "yellowstone#34",
        quirk=30,
    ),
    Fault(
        "dead-session-packets",
        "Packets of a session that died come on every new connection.",
        "replay",
        {"dead_session_packets": True},
        "scottlamb/retina#17, scottlamb/moonfire-nvr#184",
        quirk=31,
    ),
    Fault(
        "answers-tcp-with-udp",
        "SETUP over TCP is answered 200 with a transport over UDP.",
        "replay",
        {"transports": ("UDP",), "answers_tcp_with_udp": True},
        "bluenviron/mediamtx#173",
        quirk=32,
    ),
    Fault(
        "udp-blocked",
        "UDP only, and no datagram passes the line.",
        "replay",
        {"transports": ("UDP",), "udp_blocked": True},
        "bluenviron/gortsplib#192",
        quirk=32,
    ),
    Fault(
        "udp-lossy",
        "UDP only, and five datagrams in a hundred are lost.",
        "replay",
        {"transports": ("UDP",), "udp_loss": 0.05},
        "bluenviron/gortsplib#192",
        quirk=32,
    ),
    Fault(
        "udp-reorders",
        "UDP only, and neighbouring datagrams overtake each other.",
        "replay",
        {"transports": ("UDP",), "udp_reorders": True},
        quirk=32,
    ),
    Fault(
        "udp-shallow",
        "UDP only, and a queue on the way holds sixteen packets of a burst.",
        "replay",
        {"transports": ("UDP",), "udp_burst": 16},
        "MiBeeNvr#443",
        quirk=45,
    ),
    *(
        Fault(f"rtsp-{name}", sentence, "replay", {"rtsp_dialect": (name,)}, _RETINA, quirk=33)
        for name, sentence in _DIALECTS.items()
    ),
    *(
        Fault(f"rtsp-{name}", sentence, "replay", {"rtsp_dialect": (name,)}, evidence, quirk=51)
        for name, (sentence, evidence) in _INCOMPLETE.items()
    ),
    Fault(
        "redirects-to-another-port",
        "DESCRIBE is answered 302 with another port of the same host.",
        "replay",
        {"redirect_to": "rtsp://127.0.0.1:9/live/main"},
        "AlexxIT/go2rtc#1881",
        quirk=13,
    ),
    Fault(
        "redirects-to-itself",
        "DESCRIBE is answered 302 with another path of the same camera.",
        "replay",
        {"redirect_to": "{here}/moved/live/main"},
        quirk=13,
    ),
    Fault(
        "redirects-elsewhere",
        "DESCRIBE is answered 302 with another host.",
        "replay",
        {"redirect_to": "rtsp://192.168.1.88:554/live/main"},
        quirk=13,
    ),
    Fault(
        "audio-without-picture",
        "The session is described with video, and only audio comes.",
        "replay",
        {"media": "audio-without-picture"},
        "AlexxIT/go2rtc#1847",
        quirk=39,
    ),
    Fault(
        "audio-only",
        "The stream is described without video.",
        "replay",
        {"media": "audio-only"},
        "deepch/RTSPtoWeb#276",
        quirk=39,
    ),
)
