# SPDX-License-Identifier: Apache-2.0
"""MP4, and what av knows of codecs: the only packages that mux with av stand on this one.

Used by recording, by the RTMP relay and by exports. Nothing here knows a file or a socket.
"""
