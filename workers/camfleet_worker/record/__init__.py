# SPDX-License-Identifier: Apache-2.0
"""Recording: the sink that writes segments to a volume, and what keeps the volume in bounds."""
