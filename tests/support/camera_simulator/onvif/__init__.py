# SPDX-License-Identifier: Apache-2.0
"""The ONVIF device of a simulated camera: SOAP 1.2 over HTTP, written against ONVIF Core and Media.

`device.answer` is the door: an HTTP request and the camera's state in, an HTTP response out. No
sockets here. Media2 and events get modules of their own beside media1.py when they come.
"""
