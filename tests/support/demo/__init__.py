# SPDX-License-Identifier: Apache-2.0
"""`make demo`: one province from YAML to the VMS on a real Kubernetes, with the proof."""
