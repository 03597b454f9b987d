# SPDX-License-Identifier: Apache-2.0
"""Forms in which a camera may write its login challenges, over HTTP and RTSP alike.

RFC 9110 section 11 and RFC 2617 allow the first of them; cameras send all. Data and pure functions:
the doorkeeper calls `written` with what it would send else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """How one camera writes a Digest challenge."""

    sentence: str
    write: Callable[[str], str]


def _with(more: str) -> Callable[[str], str]:
    return lambda challenge: challenge + more


def _before(more: str) -> Callable[[str], str]:
    return lambda challenge: more + challenge


def _upper_case(challenge: str) -> str:
    names = re.sub(r"(\w+)=", lambda name: name[0].upper(), challenge)
    return names.replace("Digest", "DIGEST")


def _without_quotes(challenge: str) -> str:
    return re.sub(r'(nonce|qop)="([^"]*)"', r"\1=\2", challenge)


def _spaced(challenge: str) -> str:
    return re.sub(r"(\w+)=", r"\1 =\t ", challenge).replace(", ", "  ,, ").replace("t ", "t   ", 1)


def _of_another_qop(listed: str) -> Callable[[str], str]:
    def write(challenge: str) -> str:
        return re.sub(r', qop="auth"', "", challenge) + f", qop={listed}"

    return write


def _of_algorithms(listed: str) -> Callable[[str], str]:
    return lambda challenge: re.sub(r"algorithm=\w+", f"algorithm={listed}", challenge)


FORMS = {
    "several-in-one": Form(
        "Basic stands before Digest in one header.", _before('Basic realm="c", ')
    ),
    "token68": Form(
        "A scheme with a token instead of parameters stands before it.",
        _before("Negotiate YIIB/Basic+QYJ==, "),
    ),
    "scheme-alone": Form("A scheme without anything stands before it.", _before("Negotiate, ")),
    "quoted-commas": Form(
        "Text in quotes holds commas and names of schemes.",
        _with(', domain="/, Basic, Digest a=b"'),
    ),
    "escaped-quotes": Form(
        "Text in quotes holds quotes.", _with(r', domain="/\", nonce=\"x", charset=UTF-8')
    ),
    "unknown-parameters": Form(
        "It has parameters that nobody knows.", _with(', x.vendor="1", userhash=false')
    ),
    "parameter-without-value": Form(
        "A parameter lacks its value.", lambda text: text.replace(", ", ", strict, ", 1)
    ),
    "upper-case": Form("Scheme and parameters are in upper case.", _upper_case),
    "without-quotes": Form("Values have no quotes.", _without_quotes),
    "spaces": Form("There is space around everything, and commas are doubled.", _spaced),
    "without-commas": Form(
        "There are no commas between parameters.", lambda text: text.replace(", ", " ")
    ),
    "open-quote": Form("The last quote is missing.", _with(', domain="/')),
    "algorithm-list": Form(
        "It names several algorithms in one parameter.", _of_algorithms('"SHA-512-256, MD5"')
    ),
    "algorithm-list-without-quotes": Form(
        "It names several algorithms in one parameter, without quotes.",
        _of_algorithms("MD5,SHA-512-256"),
    ),
    "qop-list": Form("It offers two qualities.", _of_another_qop('"auth-int, auth"')),
    "qop-list-without-quotes": Form(
        "It offers two qualities, without quotes.", _of_another_qop("auth,auth-int")
    ),
    "algorithm-in-quotes": Form("The algorithm is in quotes.", _of_algorithms('"MD5"')),
}


def written(challenges: list[str], form: str) -> list[str]:
    """The challenges in this form; as they are where it is empty."""
    if not form:
        return challenges
    return [
        FORMS[form].write(value) if value.startswith("Digest") else value for value in challenges
    ]
