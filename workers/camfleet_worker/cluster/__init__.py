# SPDX-License-Identifier: Apache-2.0
"""The door to the Kubernetes API: the only package that imports the client."""
