"""MLflow, written from the campaign's manifests: replayable, exactly once, and never in the way.

A parent run is the campaign, a child run each round. All that is written derives from write-once manifests, with their
times: writing it again changes nothing. MLflow being down loses nothing, since the next sync writes what is missing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activelora.campaign.amendments import amendments_in_words
from activelora.campaign.campaign import Campaign
from activelora.campaign.frozen import CAMPAIGN_KEY, read_frozen
from activelora.campaign.history import RoundRecord, read_history
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.config.file import config_digest
from activelora.config.outside_names import unfit_model
from activelora.errors import ConfigError
from activelora.evaluation.gates import champion
from activelora.kinds.registry import headline_of
from activelora.tracking import mlflow_content as content
from activelora.tracking.mlflow_content import milliseconds
from activelora.tracking.mlflow_files import upload_folder
from activelora.tracking.mlflow_location import (
    artifact_location,
    note_page,
    prepare_environment,
    tracking_uri,
    ui_command,
    without_credentials,
)
from activelora.tracking.mlflow_model import write_model
from activelora.tracking.mlflow_moved import follow_move
from activelora.tracking.mlflow_registry import find_or_create_version, promote
from activelora.tracking.mlflow_runs import (
    CAMPAIGN_TAG,
    NewRun,
    find_or_create_experiment,
    find_or_create_run,
    find_runs,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

__all__ = ["sync", "tracking_uri", "ui_command"]

STOP_TAG = "activelora.stop_reason"
METRICS_TAG = "activelora.metrics"
"""Says of how many rounds the campaign's run has the metrics, and a digest of what they were made of."""
MAX_TAG = 5000
"""Characters that a tag's value may have."""
_METRICS_PER_CALL, _PARAMS_PER_CALL = 900, 90
_REFUSALS = frozenset({"INVALID_PARAMETER_VALUE", "INVALID_STATE", "BAD_REQUEST"})
"""MLflow's codes for what would be refused the next time too."""
logger = logging.getLogger(__name__)


def sync(campaign: View, *, again: bool = False) -> bool:
    """Write to MLflow what is not there yet.

    Args:
        campaign: The campaign.
        again: Write the campaign's own files even where they seem to be there: an older sync may have run meanwhile.

    Returns:
        True if MLflow now shows the whole campaign. False if it is not tracked, or if MLflow cannot be reached or
        refuses: then one warning says so, and a later sync catches up.
    """
    seen = snapshot_of(campaign)
    uri = tracking_uri(seen.campaign)
    if uri is None:
        if campaign.config.tracking.enabled:
            logger.info("not tracked in MLflow: set `tracking.uri` or MLFLOW_TRACKING_URI to a server")
        return False
    prepare_environment()
    follow_move(seen.campaign)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        registry_uri = os.environ.get("MLFLOW_REGISTRY_URI", uri)
        _Sync(seen, MlflowClient(tracking_uri=uri, registry_uri=registry_uri), again).write()
    except ConfigError as error:
        _warn_of_refusal(uri, str(error))
        return False
    except (MlflowException, OSError, *_database_errors()) as error:
        if isinstance(error, MlflowException) and error.error_code in _REFUSALS:
            _warn_of_refusal(uri, _reason(error))
            return False
        logger.warning(
            "MLflow at %s could not be written (%s). Nothing is lost: the next sync writes what is missing. "
            "Check that the server runs, that `tracking.uri` is right, and that it lets you in.",
            without_credentials(uri),
            _reason(error),
        )
        return False
    return True


def _warn_of_refusal(uri: str, reason: str) -> None:
    """Say that the same sync would be refused again."""
    logger.warning(
        "MLflow at %s refuses this campaign: %s As long as that is so, no sync can succeed, and MLflow lacks what "
        "this one brought; the campaign itself lacks nothing. The section `tracking` may be changed while the campaign "
        "runs: the first sync after that writes all that is missing.",
        without_credentials(uri),
        reason if reason.endswith(".") else f"{reason}.",
    )


def _database_errors() -> tuple[type[Exception], ...]:
    """Return what a database raises. The images have MLflow's client without databases."""
    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ModuleNotFoundError:
        return ()
    return (SQLAlchemyError,)


@dataclass(frozen=True)
class _Sync:
    """One sync; reads the campaign once, and writes parent, children and registry."""

    seen: Snapshot
    client: MlflowClient
    again: bool

    @property
    def campaign(self) -> Campaign:
        return self.seen.campaign

    @cached_property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.campaign.store.read(CAMPAIGN_KEY))
        return document

    @cached_property
    def key(self) -> str:
        """The campaign's name in tags: its settings and the moment of its creation, wherever its folder is mounted."""
        return hashlib.sha256(f"{self.document['digest']}/{self.document['created_at']}".encode()).hexdigest()[:32]

    @cached_property
    def experiment_id(self) -> str:
        name = self.campaign.config.tracking.experiment
        return find_or_create_experiment(self.client, name, artifact_location(self.campaign))

    @cached_property
    def found(self) -> dict[str, list[Run]]:
        """The campaign's runs that were there when this sync began, by unit."""
        return find_runs(self.client, self.experiment_id, CAMPAIGN_TAG, self.key)

    @property
    def model_name(self) -> str:
        """The registered model's name."""
        return self.campaign.config.tracking.registered_model or self.campaign.config.name

    @cached_property
    def unfit_model(self) -> str | None:
        """Why MLflow refuses a registered model of that name, or None."""
        return unfit_model(self.model_name)

    def write(self) -> None:
        """Write the campaign's run, a run each round, and the registry."""
        records = read_history(self.seen)
        parent = self._parent_run()
        children = {record.round: self._child_run(parent, record) for record in records}
        self._write_parent(parent, records)
        note_page(self.campaign, self.experiment_id, parent.info.run_id)
        for index, record in enumerate(records):
            self._write_child(children[record.round], record, records[: index + 1])
        best = champion(self.seen)
        if best is not None and best.round in children and self.unfit_model is None:
            promote(self.client, self._register(children[best.round], best))
        if self.seen.stop_reason and parent.info.status != "FINISHED":
            self.client.set_tag(parent.info.run_id, STOP_TAG, self.seen.stop_reason)
            ends = [_end_ms(record) for record in records]
            end = max(ends, default=milliseconds(self.document["created_at"]))
            self.client.set_terminated(parent.info.run_id, "FINISHED", end_time=end)
        if self.unfit_model is not None:
            raise ConfigError(
                f"{self.unfit_model}, so no adapter is registered; runs, metrics and files are written",
                where=f"tracking.registered_model: {self.model_name}",
                remedy="Choose another name.",
            )

    def _run(self, new: NewRun) -> Run:
        return find_or_create_run(self.client, self.experiment_id, new, self.found.get(new.unit, ()))

    def _parent_run(self) -> Run:
        config = self.campaign.config
        tags = {
            CAMPAIGN_TAG: self.key,
            "activelora.uri": self.campaign.store.uri,
            "activelora.version": self.document["code_version"],
            "mlflow.source.name": "activelora",
            **self._tags_of_settings(),
        }
        start_ms = milliseconds(self.document["created_at"])
        run = self._run(NewRun(self.key, config.name, start_ms, tags))
        return self._gone_on(run) if self.campaign.amendments else run

    def _tags_of_settings(self) -> dict[str, str]:
        """Return the tags that an amendment changes."""
        config = self.campaign.config
        tags = {
            "activelora.config_digest": config_digest(config),
            "mlflow.note.content": f"ActiveLoRA campaign `{config.name}`: {config.task.kind}, {config.model.base}, "
            f"{config.acquisition.strategy}, at most {config.label_budget} labels. "
            "Metrics have step = round; there is a child run for each round.",
        }
        if self.campaign.amendments:
            tags["activelora.amendments"] = "; ".join(amendments_in_words(self.campaign.amendments))[:MAX_TAG]
        return tags

    def _gone_on(self, run: Run) -> Run:
        """Bring the campaign's run up to its newest amendment: it runs again, unless it has ended again."""
        run_id, tags, before = run.info.run_id, self._tags_of_settings(), run.data.tags
        for name, value in tags.items():
            if before.get(name) != value:
                self.client.set_tag(run_id, name, value)
        known = before.get(STOP_TAG)
        if known is None or known == self.seen.stop_reason:
            return run
        if self.seen.stop_reason is None:
            self.client.delete_tag(run_id, STOP_TAG)
        self.client.update_run(run_id, status="RUNNING")
        return self.client.get_run(run_id)

    def _child_run(self, parent: Run, record: RoundRecord) -> Run:
        tags = {
            CAMPAIGN_TAG: self.key,
            "mlflow.parentRunId": parent.info.run_id,
            "mlflow.source.name": "activelora",
            "activelora.round": str(record.round),
        }
        start_ms = min(milliseconds(manifest.started_at) for manifest in record.steps or record.scoring)
        new = NewRun(f"{self.key}/{record.round:04d}", f"round {record.round}", start_ms, tags)
        run = self._run(new)
        if run.data.tags["mlflow.parentRunId"] != parent.info.run_id:
            # Another writer made it below a parent that has lost against this one.
            self.client.set_tag(run.info.run_id, "mlflow.parentRunId", parent.info.run_id)
        return run

    def _write_parent(self, parent: Run, records: list[RoundRecord]) -> None:
        run_id, tags = parent.info.run_id, parent.data.tags
        if tags.get("activelora.uri") != self.campaign.store.uri:  # its folder was moved
            self.client.set_tag(run_id, "activelora.uri", self.campaign.store.uri)
        if "activelora.params" not in tags:
            self._log_params(run_id)
            self.client.set_tag(run_id, "activelora.params", "written")
        ingest = self.seen.manifest(Unit("ingest_pool"))
        if ingest is not None and tags.get("activelora.ingest_pool") != ingest.digest:
            self.client.log_inputs(run_id, datasets=content.datasets_of(self.campaign, ingest))
            self.client.set_tag(run_id, "activelora.ingest_pool", ingest.digest)
        self._log_new_metrics(parent, records)
        files = content.campaign_files(self.campaign, records)
        digest = hashlib.sha256(b"".join(files[name] for name in sorted(files))).hexdigest()
        if self.again or tags.get("activelora.artifacts") != digest:
            with tempfile.TemporaryDirectory() as folder:
                for name, data in files.items():
                    (Path(folder) / name).write_bytes(data)
                self._log_files(run_id, Path(folder))
            self.client.set_tag(run_id, "activelora.artifacts", digest)

    def _log_new_metrics(self, parent: Run, records: list[RoundRecord]) -> None:
        """Write the rounds' metrics into the campaign's run, but for rounds that a tag says are there already."""
        state = [[record.round, *(manifest.digest for manifest in record.steps)] for record in records]
        written = parent.data.tags.get(METRICS_TAG, "")
        num_written, _, digest = written.partition(" ")
        start = int(num_written) if num_written.isdigit() and not self.again else 0
        if start > len(state) or digest != _digest_of(state[:start]):
            start = 0  # a sync of another state wrote it, or an older version
        metrics = [
            metric
            for index, record in enumerate(records[start:], start)
            for metric in self._metrics(record, records[: index + 1])
        ]
        for first in range(0, len(metrics), _METRICS_PER_CALL):
            chunk = metrics[first : first + _METRICS_PER_CALL]
            self.client.log_batch(parent.info.run_id, metrics=chunk, synchronous=True)
        now = f"{len(state)} {_digest_of(state)}"
        if now != written:
            self.client.set_tag(parent.info.run_id, METRICS_TAG, now)

    def _metrics(self, record: RoundRecord, so_far: list[RoundRecord]) -> list[Metric]:
        return content.metrics_of(record, so_far, headline_of(self.campaign.config))

    def _log_params(self, run_id: str) -> None:
        from mlflow.entities import Param

        # As stored: MLflow refuses to change a parameter, and the caller's settings may differ in what is changeable.
        stored = read_frozen(self.campaign.store).original()
        params = [Param(key, value) for key, value in content.flat_parameters(stored).items()]
        for start in range(0, len(params), _PARAMS_PER_CALL):
            self.client.log_batch(run_id, params=params[start : start + _PARAMS_PER_CALL], synchronous=True)

    def _write_child(self, child: Run, record: RoundRecord, so_far: list[RoundRecord]) -> None:
        """Write what the round has that its run does not: a tag holds the digest of every step that is there whole."""
        run_id = child.info.run_id
        missing = [
            manifest
            for manifest in record.steps
            if content.artifact_folder(manifest.step) is not None
            and child.data.tags.get(f"activelora.{manifest.step}") != manifest.digest
        ]
        if missing:
            self.client.log_batch(run_id, metrics=self._metrics(record, so_far), synchronous=True)
        for manifest in missing:
            self._upload(run_id, manifest)
            if manifest.step == "evaluate_adapter":
                ingest = self.campaign.require(Unit("ingest_pool"))
                self.client.log_inputs(run_id, datasets=content.datasets_of(self.campaign, ingest))
                if record.training is not None:
                    if self.unfit_model is not None:
                        continue  # without the tag: once the name is corrected, this is done again
                    self._register(child, manifest)
            self.client.set_tag(run_id, f"activelora.{manifest.step}", manifest.digest)
        has_ended = bool(record.labels or self.seen.stop_reason)
        if not has_ended and child.info.status == "FINISHED":  # the campaign had ended here, and goes on
            self.client.update_run(run_id, status="RUNNING")
        elif has_ended and child.info.status != "FINISHED":
            self.client.set_terminated(run_id, "FINISHED", end_time=_end_ms(record))

    def _upload(self, run_id: str, manifest: Manifest) -> None:
        with tempfile.TemporaryDirectory() as folder:
            content.write_step_files(self.campaign, manifest, Path(folder))
            self._log_files(run_id, Path(folder), content.artifact_folder(manifest.step) or "")

    def _log_files(self, run_id: str, folder: Path, below: str = "") -> None:
        upload_folder(partial(self.client.log_artifact, run_id), folder, below)

    def _register(self, child: Run, evaluation: Manifest) -> Any:
        write = partial(write_model, self.campaign, evaluation.round)
        return find_or_create_version(self.client, self.model_name, child, evaluation, write)


def _reason(error: Exception) -> str:
    text = without_credentials(str(error)).split("\n", 1)[0]
    return "it does not answer" if "Max retries exceeded" in text else text[:300]


def _digest_of(state: list[list[Any]]) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _end_ms(record: RoundRecord) -> int:
    return milliseconds(record.finished_at)
