# SPDX-License-Identifier: Apache-2.0
"""All kinds of the API group. Province and CameraSurvey will stand here too."""

from camfleet_api.camera import CAMERA
from camfleet_api.ingest_shard import INGEST_SHARD
from camfleet_api.kind import Kind
from camfleet_api.monitoring_system import MONITORING_SYSTEM
from camfleet_api.site import SITE
from camfleet_api.technical_profile import TECHNICAL_PROFILE

KINDS: tuple[Kind, ...] = (SITE, CAMERA, TECHNICAL_PROFILE, MONITORING_SYSTEM, INGEST_SHARD)
