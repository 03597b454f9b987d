# SPDX-License-Identifier: Apache-2.0
"""What is declared in small files beside recordings: how long they are kept, of which site they
are, and what those of a site may take.

It stands there so that recordings expire also after their camera is no longer declared or has moved
to another worker. Written by the volume's writer thread, read by housekeeping; other workers that
share the volume do both too.
"""

from __future__ import annotations

from pathlib import Path

from camfleet_worker.base.files import replace_file
from camfleet_worker.base.whole_number import whole_number

RETENTION_FILE = "retention_days"
SITE_FILE = "site"
_BOUND_SUFFIX = ".retention_bytes"
"""Behind the name of a site. No camera's folder ends so: behind its dot stands a uid."""
_DIGITS = 19


def declare_retention(folder: Path, days: int) -> None:
    """Write beside a camera's recordings how long they are kept."""
    _declare(folder / RETENTION_FILE, f"{days}\n")


def declare_site(folder: Path, site: str) -> None:
    """Write beside a camera's recordings which site they are of; nothing where it has none."""
    if site:
        _declare(folder / SITE_FILE, f"{site}\n")


def declare_site_bound(namespace: Path, site: str, max_bytes: int | None) -> None:
    """Write beside a namespace's cameras what the recordings of a site may take; None: no bound."""
    file = namespace / f"{site}{_BOUND_SUFFIX}"
    if max_bytes is None:
        file.unlink(missing_ok=True)
    else:
        _declare(file, f"{max_bytes}\n")


def retention_days(folder: Path) -> int | None:
    """How many days a camera's recordings are kept; None where that is not declared."""
    return whole_number(_text(folder / RETENTION_FILE), _DIGITS)


def site_of(folder: Path) -> str:
    """The site of a camera's recordings; empty where that is not declared."""
    return _text(folder / SITE_FILE)


def site_bound(namespace: Path, site: str) -> int | None:
    """What the recordings of a site may take, in bytes; None where there is no bound."""
    return whole_number(_text(namespace / f"{site}{_BOUND_SUFFIX}"), _DIGITS)


def _declare(file: Path, wanted: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.read_text() != wanted:
        replace_file(file, wanted.encode())


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""
