# SPDX-License-Identifier: Apache-2.0
"""Camera status: facts in, as few server-side applies as the truth needs out."""
