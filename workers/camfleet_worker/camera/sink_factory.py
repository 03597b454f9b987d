# SPDX-License-Identifier: Apache-2.0
"""Makes sinks by a policy: the recording, the relays, and the watch on the picture, which every
camera has."""

from __future__ import annotations

from camfleet_api.ingest_shard import Relay
from camfleet_worker.base.errors import IngestError
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.sink_set import MadeSink, SinkSet
from camfleet_worker.login.accounts import Accounts
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.picture.pool import PictureAnalyser
from camfleet_worker.picture.sink import PictureSink
from camfleet_worker.record.layout import camera_prefix
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.protocols import make_relay
from camfleet_worker.relay.target import RelayTarget, StreamNames, relay_target


class SinkFactory:
    """Makes the sinks of all cameras of a worker, which share volume, pool and connections."""

    def __init__(
        self,
        namespace: str,
        volume: VolumeWriter,
        resolver: Resolver,
        accounts: Accounts,
        glass: PictureAnalyser,
    ) -> None:
        self._namespace = namespace
        self._volume = volume
        self._resolver = resolver
        self._accounts = accounts
        self._glass = glass
        self._bounds: dict[str, int | None] = {}
        """The limits of recordings by site, as they were last declared on the volume."""

    def make(self, assignment: Assignment, before: SinkSet) -> SinkSet:
        """The sinks that the policy asks for. Sinks of `before` with equal settings are kept: a
        recording goes on while a relay gets other credentials."""
        made: list[MadeSink] = []
        errors: list[IngestError] = []
        for relay in assignment.policy.relays:
            try:
                made.append(self._relay(relay.name, self._target(assignment, relay), before))
            except IngestError as error:
                errors.append(error)
        if assignment.policy.recording.enabled:
            self._declare_bound(assignment)
            recording = self._recording(assignment)
            made.append(
                before.kept(recording)
                or MadeSink(recording, RecordingSink(recording, self._volume))
            )
        # Under every policy, because a camera with an unusable picture is not up.
        made.append(before.kept(PictureSink) or MadeSink(PictureSink, PictureSink(self._glass)))
        return SinkSet(tuple(made), tuple(errors))

    def _target(self, assignment: Assignment, relay: Relay) -> RelayTarget:
        camera = assignment.camera
        credentials, authorities = None, ""
        if relay.credentials is not None:
            credentials = self._accounts.relay_login(relay.credentials)
            authorities = self._accounts.relay_authorities(relay.credentials)
        return relay_target(
            relay.protocol,
            relay.url_template,
            StreamNames(self._namespace, camera.site, camera.name, camera.uid),
            [Codec(codec.value) for codec in relay.codecs],
            credentials,
            authorities,
        )

    def _relay(self, name: str, target: RelayTarget, before: SinkSet) -> MadeSink:
        settings = (name, target)
        return before.kept(settings) or MadeSink(settings, make_relay(name, target, self._resolver))

    def _recording(self, assignment: Assignment) -> RecordingSettings:
        camera, policy = assignment.camera, assignment.policy.recording
        audio = assignment.policy.audio
        return RecordingSettings(
            prefix=camera_prefix(self._namespace, camera.name, camera.uid),
            segment_s=policy.segment_seconds,
            audio=audio,
            retention_days=policy.retention_days,
            site=camera.site,
        )

    def _declare_bound(self, assignment: Assignment) -> None:
        site, bound = assignment.camera.site, assignment.policy.site_retention_bytes
        if site not in self._bounds or self._bounds[site] != bound:
            self._bounds[site] = bound
            self._volume.bound_site(self._namespace, site, bound)
