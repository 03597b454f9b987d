# SPDX-License-Identifier: Apache-2.0
"""Access to the API server: the only package that imports the kubernetes client."""
