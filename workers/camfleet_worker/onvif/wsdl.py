# SPDX-License-Identifier: Apache-2.0
"""Finds and parses ONVIF's WSDLs: those of onvif-zeep and our own for Media2; none is fetched.

Only the files of that distribution are used. Importing its code would configure the root logger,
and its client edits the proxy variables of the process and needs a cache file under $HOME.
"""

from __future__ import annotations

import importlib.metadata
import logging
from functools import cache
from pathlib import Path
from typing import Any

from zeep.settings import Settings
from zeep.wsdl import Document

# zeep logs a traceback for every wrong value of a camera; what matters becomes an error here.
logging.getLogger("zeep").setLevel(logging.CRITICAL)

DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA1 = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"

_FILES = {DEVICE: ("devicemgmt.wsdl", "DeviceBinding"), MEDIA1: ("media.wsdl", "MediaBinding")}
_OWN_FILES = {MEDIA2: (Path(__file__).parent / "media2.wsdl", "Media2Binding")}
"""The distribution is from before Media2."""

# strict=False: cameras leave out, add and swap elements; what is missing reads as None. The XML
# itself is checked before zeep sees it (envelope.py).
_SETTINGS = Settings(
    strict=False,
    xml_huge_tree=False,
    forbid_dtd=True,
    forbid_entities=True,
    forbid_external=True,
    xsd_ignore_sequence_order=True,
)


class _FilesOnly:
    """Loads documents for zeep: local files only, without network or session."""

    def load(self, url: str) -> bytes:
        """The bytes of a file of the WSDL folder."""
        return Path(url).read_bytes()


@cache
def binding(namespace: str) -> Any:
    """zeep's binding of a service. The first call takes 0.1 s: make it in the codec's thread."""
    path, binding_name = _file(namespace)
    document = Document(str(path), _FilesOnly(), settings=_SETTINGS)  # type: ignore[arg-type]
    return document.bindings[f"{{{namespace}}}{binding_name}"]


def _file(namespace: str) -> tuple[Path, str]:
    if namespace in _OWN_FILES:
        return _OWN_FILES[namespace]
    name, binding_name = _FILES[namespace]
    return _folder() / name, binding_name


@cache
def _folder() -> Path:
    """The folder of the WSDLs: beside the package of a wheel, elsewhere in a system install."""
    files = importlib.metadata.files("onvif-zeep") or []
    for file in files:
        if file.name == "devicemgmt.wsdl":
            return Path(str(file.locate())).resolve().parent
    raise FileNotFoundError("the onvif-zeep distribution holds no devicemgmt.wsdl")
