# SPDX-License-Identifier: Apache-2.0
"""The one error of this package: a sentence with the fact and the next action, for a person at a
terminal.
"""


class ClusterError(Exception):
    """The local cluster cannot do what was asked."""
