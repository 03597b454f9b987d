# SPDX-License-Identifier: Apache-2.0
"""What a target raises where a parser answers with something that it promises never to give."""


class BrokenPromise(AssertionError):
    """A promise of a parser does not hold."""
