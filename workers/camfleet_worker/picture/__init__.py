# SPDX-License-Identifier: Apache-2.0
"""The watch on the picture: key frames show from time to time whether a person could use it."""
