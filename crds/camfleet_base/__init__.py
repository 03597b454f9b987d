# SPDX-License-Identifier: Apache-2.0
"""What the operator's and the worker's processes do alike: log lines, settings, rate limits.

Both may import it; it imports neither of them, nor the contract. What only one process does is not
here.
"""
