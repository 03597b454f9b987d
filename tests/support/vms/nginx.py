# SPDX-License-Identifier: Apache-2.0
"""The nginx configuration: RTMP in, HLS out, the statistics page, and the VMS page in front of it
all.

One text for tests and for the pod; everything lives below one folder, so nginx needs no rights
beyond it.
"""

from __future__ import annotations

import os
from pathlib import Path

PAGE_FOLDER = Path(__file__).resolve().parent / "page"
_RTMP_MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
_STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

_CONFIGURATION = """\
load_module {rtmp_module};
{load_stream}{user}daemon off;
master_process on;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}

rtmp {{
    access_log off;
    server {{
        listen {host}:{rtmp_port};
        chunk_size 4096;
        application live {{
            live on;
            record off;
            hls on;
            hls_path {folder}/hls;
            hls_fragment 2s;
            hls_playlist_length 20s;
            hls_cleanup on;
            drop_idle_publisher 30s;
        }}
    }}
}}

{stream}http {{
    access_log off;
    default_type application/octet-stream;
    types {{
        text/html html; text/css css; text/javascript js; application/json json;
        application/vnd.apple.mpegurl m3u8; video/mp2t ts; image/jpeg jpg; text/xml xml xsl;
    }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{http_port};
        add_header Cache-Control no-store;
        location = /stat {{ rtmp_stat all; }}
        location /hls/ {{ alias {folder}/hls/; }}
        location /vendor/ {{ alias {vendor}/; }}
{door}        location / {{ root {page}; index index.html; }}
    }}
}}
"""

_DOOR = """\
        location ~ ^/(streams|frames|snapshot|refuse|login) {{
            proxy_pass http://127.0.0.1:{door_port};
        }}
"""

# The RTMP module speaks no TLS: in the field too, something in front of it does.
_TLS_IN_FRONT = """\
stream {{
    server {{
        listen {host}:{tls_port} ssl;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.pem;
        proxy_pass {host}:{rtmp_port};
    }}
}}

"""


def nginx_configuration(
    folder: Path,
    host: str,
    rtmp_port: int,
    http_port: int,
    *,
    door_port: int = 0,
    vendor: Path | None = None,
    tls_port: int = 0,
) -> str:
    """The configuration, and the folders it names made below `folder`.

    `door_port` is where the RTSP receiver's door listens on loopback, if there is one beside it.
    On `tls_port` the same RTMP is spoken over TLS, with key and certificate of server.pem.
    Root must name itself as the workers' user, or nginx runs them as nobody; any other user cannot
    name one.
    """
    for name in ("hls", "body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return _CONFIGURATION.format(
        rtmp_module=_RTMP_MODULE,
        user="user root;\n" if os.geteuid() == 0 else "",
        folder=folder,
        host=host,
        rtmp_port=rtmp_port,
        http_port=http_port,
        page=PAGE_FOLDER,
        vendor=vendor or folder / "vendor",
        load_stream=f"load_module {_STREAM_MODULE};\n" if tls_port else "",
        stream=_TLS_IN_FRONT.format(
            host=host, tls_port=tls_port, rtmp_port=rtmp_port, folder=folder
        )
        if tls_port
        else "",
        door=_DOOR.format(door_port=door_port) if door_port else "",
    )
