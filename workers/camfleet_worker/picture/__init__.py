# SPDX-License-Identifier: Apache-2.0
"""The watchful eye: whether a person could use the picture, by a key frame now and then."""
