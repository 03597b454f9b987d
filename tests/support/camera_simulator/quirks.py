# SPDX-License-Identifier: Apache-2.0
"""What installed cameras do to an ingest, each quirk with what we do about it.

The table in workers/QUIRKS.md is made from here, from the faults that name a quirk (faults/) and
from the tests that carry its number (`@pytest.mark.quirk(28)`):
`python -m camera_simulator.quirk_table`. A test of the house fails when the table is out of date or
a quirk has no answer, no fault or no test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirk:
    """One row of the table."""

    number: int
    title: str
    evidence: str
    """Issue threads or releases, as owner/repository#number."""
    answer: str = ""
    """What the worker does about it, in one or two sentences for a platform engineer."""


QUIRKS = (
    Quirk(
        1,
        "Logins are refused outside a window around the camera's clock",
        "lumeohq/onvif-rs#121, agsh/onvif#249, home-assistant/core#121952",
        "GetSystemDateAndTime is asked before every login, and WS-UsernameToken is signed with "
        "the camera's time, whatever it is. An offset of more than 5 s is told as "
        "TimeSynchronized=False, ClockOff; the camera streams.",
    ),
    Quirk(
        2,
        "GetSystemDateAndTime asks for a login, is missing, or lacks UTC",
        "lumeohq/onvif-rs#65, agsh/onvif#65",
        "The Date header tells the time instead, else LocalDateTime without its whole hours, "
        "else the operation once more after the login. A camera that tells nothing is signed "
        "for with our time; refused then, it is ClockSkewRejected after one attempt.",
    ),
    Quirk(
        3,
        "The UTC field carries local time, wrong by whole hours",
        "OpenIPC/majestic-webui#292",
        "Digest goes first, it needs no clock; the Date header tells local time from UTC "
        "without a login. Else a signature refused at an offset of whole hours is tried once "
        "without them, as the second attempt, and the offset that was taken is learnt for "
        "later.",
    ),
    Quirk(
        4,
        "The clock steps while we hold an offset",
        "NVIDIA video-search-and-summarization#1273",
        "The clock is read anew at each asking. A signature refused between two calls has the "
        "clock asked once more: where it has stepped, the call is signed anew, once; the new "
        "offset is learnt and proven credentials stay proven.",
    ),
    Quirk(
        5,
        "A repeated nonce or an old Created is refused as a replay",
        "milg0/onvif-java-lib#2, edgexfoundry device-onvif-camera#195",
        "Every call is signed anew, with a fresh random nonce and the camera's present time; a "
        "login whose answer was lost is not sent again.",
    ),
    Quirk(
        6,
        "HTTP Digest only, on some services only; WS-UsernameToken ignored",
        "agsh/onvif#294, lumeohq/onvif-rs#38, blakeblackshear/frigate#22623",
        "What each service takes is learnt by its path from its refusal: Digest (MD5 and SHA-256, "
        "-sess, qop) with a challenge just received for that path, or WS-UsernameToken. An account "
        "that one scheme has proven costs no attempt for the other.",
    ),
    Quirk(
        7,
        "Digest must match URI and nonce exactly, a nonce for each URL",
        "IOTechSystems/onvif#41",
        "HTTP and RTSP Digest are computed over the very URI of each request line; a "
        "401 with another nonce after credentials were taken is answered with that "
        "nonce and spends no attempt.",
    ),
    Quirk(
        8,
        "SHA-256 Digest, several challenges at once, -sess, Basic named first",
        "AlexxIT/go2rtc#2344, AlexxIT/go2rtc#2451, onvif/specs#237, scottlamb/retina#25",
        "Every challenge of every header is read and the strongest is answered: SHA-256 "
        "before MD5 before Basic, -sess included. Where it is refused, the next kind "
        "offered is tried once, within the two attempts an account has.",
    ),
    Quirk(
        9,
        "The account locks after a few bad logins",
        "agsh/onvif#112, CamioCam/rtsp#34, home-assistant/core#147404",
        "At most two attempts for one device address, account and password, shared by all "
        "channels, workers and restarts; each is written to status before it is made. A locked "
        "account is AccountLocked and left alone until the Secret changes or half an hour has "
        "passed, then tried once.",
    ),
    Quirk(
        10,
        "ONVIF is off or has other users, while RTSP works",
        "agsh/onvif#112",
        "Closed ONVIF port beside an open RTSP port: OnvifOff. ONVIF that refuses an account "
        "that RTSP would take: CredentialsRejected, after one attempt for each scheme; the "
        "message says that the account may be missing among the camera's ONVIF users. A camera "
        "that streams already goes on when its ONVIF is switched off.",
    ),
    Quirk(
        11,
        'Passwords with @ # % ^ / : ? " \\ blanks and non-ASCII',
        "bluenviron/mediamtx#2069, AlexxIT/go2rtc#1032, ZoneMinder/zoneminder#4498",
        "Passwords stand in no URL, command line or log. Digest and Basic take them octet by octet "
        "as UTF-8; the one placeholder in a learnt path is filled in on the way to the camera.",
    ),
    Quirk(
        12,
        "Service addresses carry a LAN address, a wrong port or the factory address",
        "home-assistant/core#92308, blakeblackshear/frigate#18352",
        "Of every address that a camera returns only path and query are used; host and port are "
        "always the declared ones.",
    ),
    Quirk(
        13,
        "Stream and snapshot addresses carry an inner address or another port",
        "agsh/onvif#41, agsh/onvif#170",
        "As for service addresses: the stream is fetched from the declared host and RTSP port, "
        "by the path that the camera named. Credentials in the address are dropped. A redirect to "
        "another path is followed, one to another host is StreamRedirected and names it.",
    ),
    Quirk(
        14,
        "https only behind an http address, self-signed, expired, old TLS, another certificate",
        "home-assistant/core#41800, AlexxIT/go2rtc#15",
        "A port declared http that does not answer by HTTP is asked by https where it takes a TLS "
        "handshake, old versions included; what answers is kept in status.learned.scheme. No "
        "authority is asked: the first certificate is held on to, and another one is "
        "CertificateChanged before a word is said to it, until spec.certificateFingerprint names "
        "it. Declared https is a demand and never becomes http.",
    ),
    Quirk(
        15,
        "The device service stands at another path; 404 or 400 at the default one",
        "edgexfoundry device-onvif-camera#195, home-assistant/core#84551",
        "The declared path is tried, then four known ones, then those that GetServices and a "
        "unicast probe name; what answers is kept in status.learned.devicePath.",
    ),
    Quirk(
        16,
        "Media1 hides H.265 or lies about it; Media2 alone tells the truth",
        "agsh/onvif#187, libonvif#113",
        "Media2 is asked first where it is offered. The SDP has the last word: a codec that the "
        "profile does not allow is refused as NoAllowedStream. With Media1 alone a profile "
        "without a codec is tried last where H.265 is allowed.",
    ),
    Quirk(
        17,
        "Media2 is announced and faults",
        "rvi/ONVIFCamera#4",
        "Media1 is asked when Media2 faults, is not there or is empty; which one was used is "
        "kept in status.learned.mediaVersion.",
    ),
    Quirk(
        18,
        "Many channels, shuffled profiles, odd tokens: a recorder",
        "home-assistant/core#33093",
        "Channels count in the order of the device's video sources, whatever the order of its "
        "profiles; tokens are passed on as they are. The channels of a recorder ask one after "
        "the other and share one account's attempts.",
    ),
    Quirk(
        19,
        "A probe is read strictly: line breaks, type prefixes, headers",
        "edgexfoundry device-onvif-camera#134, project-akri/akri#486",
        "Probes are one line long and sent in three ways: with the ONVIF type, with tds:Device, "
        "without any. They are a hint where the device service stands, no more.",
    ),
    Quirk(
        20,
        "Probe matches are malformed, doubled, name several addresses",
        "agsh/onvif#204, agsh/onvif#205, edgexfoundry device-onvif-camera#412",
        "Answers are read with whatever is left of their XML, for their paths only; document "
        "types are refused, other devices and repeated answers ignored, and nothing is ever "
        "sent to an address that they name.",
    ),
    Quirk(
        21,
        "Multicast does not reach the device",
        "AlexxIT/go2rtc#799, kubernetes/kubernetes#19171",
        "Multicast is not used at all: cameras are declared, and a probe goes to the declared "
        "host alone.",
    ),
    Quirk(
        22,
        "Discovery answers are lost",
        "project-akri/akri discovery handler",
        "Nothing depends on discovery: a lost answer costs a hint, never a stream.",
    ),
    Quirk(
        23,
        "Serial number, MAC or endpoint reference shared, zero or scrambled",
        "edgexfoundry device-onvif-camera#2, home-assistant/core#38864",
        "Serial number, MAC and endpoint reference are hints that are weighed together; zero, "
        "placeholder and unreadable ones are not weighed. Devices that agree in most of them "
        "are told as SharedIdentity, and go on streaming.",
    ),
    Quirk(
        24,
        "The address changes hands: another device answers, or nobody",
        "edgexfoundry device-onvif-camera#81",
        "What the device says of itself is compared with what it said before: another device is "
        "told as DeviceChanged with old and new serial number, nobody at the address as "
        "HostUnreachable or ConnectionRefused. spec.serialNumber confirms an exchange; until then "
        "status.device stays, and the stream goes on.",
    ),
    Quirk(
        25,
        "HTTP connections end without notice, replies are halved, chunked badly, empty",
        "python-onvif-zeep-async#140, python-onvif-zeep-async#80",
        "Each request has a connection of its own. A request whose answer is lost, halved or no "
        "HTTP is sent once more on a fresh one, but for a login that is not proven: it may have "
        "been counted.",
    ),
    Quirk(
        26,
        "A connection is taken and never answered",
        "zeep#60",
        "Each call has a deadline; then it is Timeout. One call at a time for each device, so "
        "devices that hang hold up nobody else's.",
    ),
    Quirk(
        27,
        "Too many SOAP calls crash the camera",
        "home-assistant/core#91661, home-assistant/core#92551",
        "One request at a time for each device, and a budget: a burst of sixty, then one in two "
        "seconds; a resolve waits until those before it are paid for. What all channels of a "
        "recorder would ask alike is asked once, and a camera that streams is asked nothing.",
    ),
    Quirk(
        28,
        "One or two sessions at most; old sessions linger; 453 or 403",
        "roflcoopter/viseron#800, AlexxIT/go2rtc#75",
        "One session per stream, TEARDOWN on every exit, also of a handshake that "
        "fails. 453 and 403 are SessionLimit, whose message says who may hold the "
        "places, and we stay away as long as the camera says or as its sessions last.",
    ),
    Quirk(
        29,
        "Keepalive by OPTIONS only, GET_PARAMETER only, neither; short or unstated timeouts",
        "AlexxIT/go2rtc#2409, bluenviron/mediamtx#842, scottlamb/retina 0.1.0",
        "All methods that the camera names take turns, often enough that each comes "
        "once within the timeout; those it does not know are dropped, and RTCP reports "
        "keep pace with the timeout. Where no timeout is stated, 30 s are assumed.",
    ),
    Quirk(
        30,
        "A keepalive without the Session header counts for nothing",
        "yellowstone#34",
        "Every request after SETUP, keepalives included, names its session.",
    ),
    Quirk(
        31,
        "Packets of a dead session come on a new connection",
        "scottlamb/retina#17, scottlamb/moonfire-nvr#184",
        "Packets before PLAY are dropped, their channels are noted, and other channels "
        "are asked for; in a session packets of foreign channels are passed over.",
    ),
    Quirk(
        32,
        "UDP only, TCP only, UDP blocked or lossy",
        "bluenviron/mediamtx#173, bluenviron/gortsplib#192",
        "TCP first. UDP only where the technical profile's spec.streams.udpFallback "
        "allows it, from the declared host alone; what is lost is counted and pictures "
        "wait for the next key frame. Blocked UDP is NoFrames with a message that names "
        "UDP, and TCP is asked for first again.",
    ),
    Quirk(
        33,
        "Odd RTSP headers: session ids, SSRC with blanks, schemeless bases, no types, bare SDP",
        "scottlamb/retina 0.3.8–0.4.17",
        "Headers, line ends, CSeq, session ids, bases and controls are read as "
        "tolerantly as the list demands; octets that belong to nothing between packets "
        "are passed over, counted and bounded.",
    ),
    Quirk(
        34,
        "Parameter sets missing or wrong, Annex B in RTP, misused markers, odd fragments",
        "scottlamb/retina 0.3.5–0.4.19",
        "Parameter sets are taken from the SDP and from the stream, the stream has the last word. "
        "Start codes in a payload are taken apart, markers are believed until timestamps "
        "contradict them, empty packets are passed over, the first fragment names the type.",
    ),
    Quirk(
        35,
        "Parameter sets and picture size change in the middle",
        "bluenviron/mediamtx#4262, scottlamb/moonfire-nvr#217",
        "Each access unit carries the format it needs. The recording begins a new segment, the "
        "relay announces anew, the session goes on.",
    ),
    Quirk(
        36,
        "RTP timestamps jump, run backwards, wrap, or count another frame rate",
        "blakeblackshear/frigate#7720, open-nvr#229",
        "Durations come from RTP while it rises; wraps are followed, jumps are bridged by the time "
        "of arrival, and a wrong rate is followed slowly. Pictures whose timestamps do not rise at "
        "all are stamped by arrival and counted. Times rise for every sink, and no session ends.",
    ),
    Quirk(
        37,
        "Sender reports are absent or wrong, clocks step and drift",
        "bluenviron/mediamtx#5550, scottlamb/moonfire-nvr design/time.md",
        "Arrival is the timeline; a camera's clock is never used for order. What sender reports "
        "say of it and how fast its RTP clock runs are metrics of the camera.",
    ),
    Quirk(
        38,
        "The recorder's own clock is wrong or steps",
        "scottlamb/moonfire-nvr#9, bluenviron/mediamtx#4778",
        "Streams run on the monotonic clock and notice nothing. A step of more than two seconds "
        "is logged and counted; the running span ends at its next cut, and no segment is ever "
        "renamed.",
    ),
    Quirk(
        39,
        "A session without packets, without key frames, with audio only",
        "AlexxIT/go2rtc#1847, AlexxIT/go2rtc#20, bluenviron/mediamtx#196",
        "Ten seconds without video packets end the session: NoFrames, or AudioOnly "
        "where audio arrives or nothing else is offered. Packets without a usable key "
        "frame end it with NoKeyframe. Each tears the session down and tries again.",
    ),
    Quirk(
        40,
        "The stream dies every few minutes, the camera restarts at night",
        "scottlamb/moonfire-nvr#209, home-assistant/core#37711",
        "The learnt stream is opened again without asking ONVIF anything, under a backoff with "
        "full jitter that starts anew only after a minute of healthy stream. Clock and identity "
        "are checked some minutes later beside the stream; five breaks in a quarter of an hour "
        "are told as Flapping.",
    ),
    Quirk(
        41,
        "A whole site returns at once",
        "Mi-Bee-Studio/MiBeeNvr#711, Mi-Bee-Studio/MiBeeNvr#712",
        "Every connect passes a budget of its site and one of the worker, cameras of a site in "
        "order, sites in turn. Channels of one device send one probe and share its answer. "
        "ONVIF is not asked.",
    ),
    Quirk(
        42,
        "A bad source eats memory, sockets or processes",
        "AlexxIT/go2rtc#675, ZoneMinder/zoneminder#3772",
        "One supervisor a camera, one session at a time, closed before the next; bytes per "
        "session are bounded. A camera that comes and goes costs ten status writes and then "
        "twelve an hour; it is told once as Flapping.",
    ),
    Quirk(
        43,
        "Event subscriptions: no Renew, wrong units, limits, false capabilities",
        "home-assistant/core#92551, home-assistant/core#81963",
        "The worker subscribes to nothing, so a broken event service costs nothing.",
    ),
    Quirk(
        44,
        "Snapshot addresses are RTSP, refuse Basic, carry the user",
        "home-assistant/core#66554, agsh/onvif#190",
        "The worker never asks for snapshots over HTTP, so neither a request nor a login goes "
        "to the address; pictures come from decoded key frames.",
    ),
    Quirk(
        45,
        "Large key frames burst and are cut up on UDP",
        "MiBeeNvr#443",
        "TCP is always asked for first, so bursts meet no shallow queue. Over UDP the "
        "kernel's buffer is the only queue; key frames that never arrive whole end in "
        "NoKeyframe.",
    ),
    Quirk(
        46,
        "The media server restarts and forgets every path",
        "bluenviron/mediamtx#1406",
        "Each relay announces its path again under a backoff of its own, starting with a key "
        "frame; all are back in ten seconds, and no camera is connected anew for it.",
    ),
    Quirk(
        47,
        "Removing one camera disturbs others",
        "bluenviron/mediamtx#4872, bluenviron/mediamtx#637",
        "A shard is compared camera by camera: an entry that is unchanged is never touched.",
    ),
    Quirk(
        48,
        "B-frames: pictures arrive in another order than they are shown",
        "blakeblackshear/frigate#7720, blakeblackshear/frigate#9661, ITU-T H.264 section C.4",
        "How far pictures change places is read from the SPS, and from the pictures where it is "
        "silent or wrong. Decoding times rise and no picture waits: recordings and RTMP carry "
        "both times, RTSP the presentation time in decoding order.",
    ),
    Quirk(
        49,
        "ONVIF requires no login, RTSP does",
        "observed at an ONVIF implementation of another maker beside a protected RTSP server",
        "A login that RTSP accepts proves the account as one over ONVIF does, so restarts and "
        "reconnects spend no attempt. Refused there, it is RtspPasswordRejected after one "
        "attempt for each scheme, for nothing has accepted these credentials.",
    ),
    Quirk(
        50,
        "Padding in a packet of several units",
        "bluenviron/gortsplib#559",
        "A size of 0 ends the packet, and a unit of its header alone is passed over: neither "
        "damages the access unit.",
    ),
    Quirk(
        51,
        "A description or an answer lacks a part, or has one that makes no sense",
        "scottlamb/moonfire-nvr#238, bluenviron/gortsplib#142, bluenviron/mediamtx#840, "
        "aler9/rtsp-simple-server#683",
        "A medium that cannot be read is skipped with its attributes, and of several payload types "
        "the first that we know is played. Without channels in Transport those asked for count, "
        "without a session id requests name none; a control that is a query belongs to the URL "
        "before it, and a session's absolute control is the base where no header states one.",
    ),
    Quirk(
        52,
        "Units of AAC begin with an ADTS header",
        "bluenviron/mediamtx#855, AlexxIT/go2rtc#1328",
        "The header is taken off, so that recordings and relays hold AAC as its description says; "
        "a unit whose header does not fit it is dropped and counted.",
    ),
    Quirk(
        53,
        "SOAP answers are not well-formed",
        "ZoneMinder/zoneminder#3767, home-assistant/core#89620, quatanium/python-onvif#48",
        "What changes no structure is mended: octets of another encoding, characters that XML does "
        "not have, a bare ampersand, a prefix that is declared nowhere. A document type is refused "
        "as before, and an answer that is cut off stays a ProtocolError.",
    ),
    Quirk(
        54,
        "RTSP closes the connection behind a challenge",
        "scottlamb/retina#45, ngraziano/SharpRTSP#127",
        "The login goes out on another connection, so that it reaches the camera and no attempt is "
        "spent for nothing; no second scheme is tried behind a refusal that closes.",
    ),
    Quirk(
        55,
        "TLS without secure renegotiation",
        "openvideolibs/python-onvif-zeep-async#46, RFC 5746 section 4.1",
        "Cameras are connected to as before RFC 5746, by https and rtsps, as by old versions of "
        "TLS; the pinned certificate holds. Monitoring systems are not.",
    ),
    Quirk(
        56,
        "SOAP 1.1, or answers in another shape than the schema's",
        "OpenIPC/viewer#65, BreeeZe/rpos#6",
        "Answers are read in both versions whatever their media type. A device that does not "
        "understand 1.2 is asked once more in 1.1, which is learnt. Elements are found in any "
        "namespace, and a Uri without the element around it, or with one too many.",
    ),
    Quirk(
        57,
        "Profiles come in another order each time",
        "AlexxIT/go2rtc#1654, where the order mixed streams up",
        "The order decides nothing: among equals the encoder configuration that was picked before "
        "is picked again, then the first by codec, encoder, name and token. A channel stays the "
        "video source that it was, and channels of a device that lists none count by their tokens.",
    ),
    Quirk(
        58,
        "Only a keepalive that Public does not name keeps the session",
        "Streamedian/html5_rtsp_player#73",
        "After a session that ended at about its timeout, another method is sent beside those that "
        "Public names. One by which a session outlives its timeout is kept, in the status too; "
        "where none helps, the sessions end for another reason and none is kept.",
    ),
    Quirk(
        59,
        "Challenges in any legal form, and some that are none",
        "devfans/digest-fetch#4, RFC 9110 section 11, RFC 2617 section 1.2",
        "One parser reads those of HTTP and RTSP. An element that cannot be read costs neither its "
        "challenge nor those beside it: it is skipped, counted, and logged once.",
    ),
    Quirk(
        60,
        "RTP timestamps count another unit than described, or half the pictures",
        "fermax-blue-hass#89, AlexxIT/go2rtc#2398",
        "Timestamps are held against arrival over seconds: what they count is measured, taken once "
        "no delay explains it, and kept over reconnects. A recording lasts as long as it took, and "
        "a clock that is set makes no leap. How fast it runs is a metric of the camera.",
    ),
    Quirk(
        61,
        "Parameter sets change before any picture, as often as they like",
        "gpac/gpac#2472, scottlamb/moonfire-nvr#217, ITU-T H.264 section 7.4.1.2.1",
        "A set belongs to the pictures behind it. Recordings and the RTSP relay carry a changed "
        "one in band where no new file or session begins, RTMP as another sequence header; of "
        "several SPS the one that a key frame means gives the size.",
    ),
    Quirk(
        62,
        "Recovery points in place of IDR pictures",
        "w3c/webcodecs#650, google/ExoPlayer#2842, ITU-T H.264 section D.2.8",
        "An I picture behind a recovery point that is recovered at once is a key frame, and one "
        "that nothing marks after a hundred pictures without: streams, segments and relays begin "
        "there.",
    ),
)
