"""Two that publish at once, each by its own view of the campaign: what people see in the end is the newer one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.local import LocalStore
from activelora.campaign.snapshot import Snapshot
from activelora.tracking.mlflow_location import prepare_environment, tracking_uri
from activelora.tracking.publish import (
    MAX_TRIES,
    PUBLISHED_KEY,
    publish,
    publish_if_changed,
    rewrite_report,
    state_shown,
)
from activelora.tracking.report import REPORT_KEY, render_report
from tests.tracking.conftest import Builder, write_training

prepare_environment()
from mlflow import MlflowClient  # noqa: E402


class Killed(BaseException):
    """A process ends here."""


class Interrupted(LocalStore):
    """A store in a folder. At one of the writes that publish, something else happens first, or right after.

    Args:
        folder: The folder.
        at: Number of the write.
        then: What happens.
        is_after: It happens after the write.
    """

    def __init__(self, folder: str, at: int, then: Callable[[], object], *, is_after: bool = False) -> None:
        super().__init__(Path(folder))
        self.written: list[str] = []
        self._at, self._then, self._is_after = at, then, is_after

    def write(self, key: str, content: bytes) -> None:
        if key not in WRITES:
            super().write(key, content)
            return
        self.written.append(key)
        is_now = len(self.written) - 1 == self._at
        if is_now and not self._is_after:
            self._then()
        super().write(key, content)
        if is_now and self._is_after:
            self._then()


WRITES = [PUBLISHED_KEY, REPORT_KEY, PUBLISHED_KEY]
"""Of one who publishes undisturbed."""


@pytest.fixture(autouse=True)
def _own_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)


def moves_on(campaign: Campaign) -> Callable[[], None]:
    """Return what the other one does: a step, and all of publishing."""

    def move_on() -> None:
        write_training(campaign, 1)
        publish_if_changed(Campaign.open(campaign.store.uri))

    return move_on


def is_shown(campaign: Campaign) -> bool:
    """Tell whether the report is that of the campaign as it is now."""
    now = Campaign.open(campaign.store.uri)
    return campaign.store.read(REPORT_KEY).decode() == render_report(now, {})


def is_noted(campaign: Campaign) -> bool:
    """Tell whether the note says that all is as it is now, so that no later call writes anything."""
    note = json.loads(campaign.store.read(PUBLISHED_KEY))
    return bool(note == state_shown(Snapshot(Campaign.open(campaign.store.uri))))


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(len(WRITES)))
def test_the_older_view_does_not_stay(build_campaign: Builder, at: int, is_after: bool) -> None:
    campaign = build_campaign(1, finished=False, tracking__enabled=False)
    store = Interrupted(campaign.store.uri, at, moves_on(campaign), is_after=is_after)
    publish(Campaign(store, campaign.config))
    assert store.written[: at + 1] == WRITES[: at + 1]
    assert is_shown(campaign)
    assert is_noted(campaign)


@pytest.mark.parametrize("at", [0, 2])
def test_a_view_that_is_old_already_does_not_stay(build_campaign: Builder, at: int) -> None:
    """Two views are made, then one publishes within the other."""
    campaign = build_campaign(1, finished=False, tracking__enabled=False)
    store = Interrupted(campaign.store.uri, at, lambda: publish(Campaign.open(campaign.store.uri)))
    old = Snapshot(Campaign(store, campaign.config))
    assert old.done
    assert old.stop_reason is None
    assert not old.deleted
    stop_campaign(campaign, "enough")
    publish_if_changed(old)
    assert b"The campaign ended: enough" in campaign.store.read(REPORT_KEY)
    assert is_shown(campaign)
    assert is_noted(campaign)


@pytest.mark.parametrize("killed_at", range(len(WRITES)))
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_what_a_killed_one_left_is_mended(build_campaign: Builder, killed_at: int, is_after: bool) -> None:
    """It has read an older state, others have published a newer one, and then it writes on until it is killed."""
    campaign = build_campaign(1, finished=False, tracking__enabled=False)

    def kill() -> None:
        raise Killed

    store = Interrupted(campaign.store.uri, killed_at, kill, is_after=is_after)
    old = Snapshot(Campaign(store, campaign.config))
    assert state_shown(old)
    moves_on(campaign)()
    with pytest.raises(Killed):
        publish(old)
    publish_if_changed(Campaign.open(campaign.store.uri))
    assert is_shown(campaign)
    assert is_noted(campaign)


def test_one_that_was_disturbed_does_not_say_that_all_is_shown(build_campaign: Builder) -> None:
    """An older one writes its report between the report and the note of the newer one, and is killed."""
    campaign = build_campaign(1, finished=False, tracking__enabled=False)

    def kill() -> None:
        raise Killed

    old = Snapshot(Campaign(Interrupted(campaign.store.uri, 1, kill, is_after=True), campaign.config))
    assert state_shown(old)
    write_training(campaign, 1)

    def publish_the_older() -> None:
        with pytest.raises(Killed):
            publish(old)

    store = Interrupted(campaign.store.uri, 1, publish_the_older, is_after=True)
    publish(Campaign(store, campaign.config))
    assert store.written == [PUBLISHED_KEY, REPORT_KEY, *WRITES]
    assert is_shown(campaign)
    assert is_noted(campaign)


def test_a_campaign_that_never_rests_is_left_to_the_next_call(build_campaign: Builder) -> None:
    campaign = build_campaign(1, finished=False, tracking__enabled=False)

    class Restless(LocalStore):
        """Each report is followed by a step."""

        rounds = 0

        def write(self, key: str, content: bytes) -> None:
            super().write(key, content)
            if key == REPORT_KEY:
                self.rounds += 1
                write_training(campaign, self.rounds)

    store = Restless(Path(campaign.store.uri))
    publish(Campaign(store, campaign.config))
    assert store.rounds == MAX_TRIES
    assert not is_shown(campaign)
    publish_if_changed(Campaign.open(campaign.store.uri))
    assert is_shown(campaign)
    assert is_noted(campaign)


def test_two_of_the_same_view_do_not_disturb_each_other(build_campaign: Builder) -> None:
    campaign = build_campaign(1, finished=False, tracking__enabled=False)
    for at in range(len(WRITES)):
        store = Interrupted(campaign.store.uri, at, lambda: publish(Campaign.open(campaign.store.uri)))
        publish(Campaign(store, campaign.config))
        assert store.written == WRITES
    assert is_shown(campaign)
    assert is_noted(campaign)


def test_a_report_that_somebody_asks_for_is_not_the_older_one(build_campaign: Builder) -> None:
    campaign = build_campaign(1, finished=False, tracking__enabled=False)
    store = Interrupted(campaign.store.uri, 0, moves_on(campaign))
    assert rewrite_report(Campaign(store, campaign.config)) == f"{campaign.store.uri}/{REPORT_KEY}"
    assert store.written == [REPORT_KEY, REPORT_KEY]
    assert is_shown(campaign)


@pytest.mark.parametrize("at", [1, 2])
def test_mlflow_has_the_newer_report_too(
    build_campaign: Builder, empty_database: Path, tmp_path: Path, at: int
) -> None:
    campaign = build_campaign(1, finished=False)
    shutil.copy(empty_database, Path(campaign.store.uri) / "mlflow.db")

    def end() -> None:
        stop_campaign(campaign, "enough")
        publish_if_changed(Campaign.open(campaign.store.uri))

    publish(Campaign(Interrupted(campaign.store.uri, at, end), campaign.config))
    client = MlflowClient(tracking_uri=tracking_uri(campaign))
    experiment = client.get_experiment_by_name(campaign.config.tracking.experiment)
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    copy = Path(client.download_artifacts(parent.info.run_id, REPORT_KEY, str(tmp_path)))
    assert b"The campaign ended: enough" in copy.read_bytes()
    assert copy.read_bytes() == campaign.store.read(REPORT_KEY)
    assert is_noted(campaign)
