"""An inbox of many files: what has not changed is not read again, and whatever changes is."""

import os
import time

import pytest

from activelora.campaign.local import SETTLE_SECONDS, LocalStore
from activelora.campaign.s3 import S3Store
from activelora.labeling.files import FilesSource
from activelora.labeling.inbox import Inbox
from activelora.labeling.request import make_request
from tests.labeling.conftest import csv_of, make_campaign, select


class CountingStore(LocalStore):
    """A folder that knows what was read from it."""

    def __init__(self, folder):
        super().__init__(folder)
        self.read_keys = []

    def open(self, key):
        self.read_keys.append(key)
        return super().open(key)


def answers(inbox):
    return {(one.file, one.label) for one in inbox.read()[0]}


def settle(path):
    """Wait until a file has been there for long: the time of its last change cannot be set."""
    time.sleep(max(0.0, SETTLE_SECONDS - (time.time() - path.stat().st_ctime)) + 0.05)


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "a.csv").write_text(csv_of(("1", "human", "ann")))
    (tmp_path / "b.csv").write_text(csv_of(("2", "human", "ann")))
    return Inbox(CountingStore(tmp_path))


def test_what_has_settled_is_read_once_and_what_changes_is_read_again(inbox):
    folder = inbox.store.folder
    settle(folder / "b.csv")
    for _ in range(3):
        assert answers(inbox) == {("a.csv", "human"), ("b.csv", "human")}
    assert inbox.store.read_keys == ["a.csv", "b.csv"]
    before = (folder / "a.csv").stat()
    (folder / "a.csv").write_text(csv_of(("1", "neman", "ann")))  # as long as before
    os.utime(folder / "a.csv", ns=(before.st_atime_ns, before.st_mtime_ns))  # as rsync -t and cp -p do
    (folder / "b.csv").unlink()
    (folder / "c.csv").write_text(csv_of(("3", "human", "ann")))
    assert answers(inbox) == {("a.csv", "neman"), ("c.csv", "human")}
    assert inbox.store.read_keys[2:] == ["a.csv", "c.csv"]


def test_a_file_that_changes_faster_than_its_time_stamps_is_read_each_time(inbox):
    path = inbox.store.folder / "a.csv"
    for label in ("aaaaa", "bbbbb", "ccccc", "aaaaa"):
        path.write_text(csv_of(("1", label, "ann")))
        assert ("a.csv", label) in answers(inbox)


def test_many_files_cost_a_listing(tmp_path):
    campaign = make_campaign(tmp_path)
    ids = select(campaign)
    folder = campaign.store.folder / "inbox"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number:05d}.csv").write_text(csv_of((ids[number % 5], "human", f"ann{number}")))
    settle(folder / "00999.csv")
    source, request = FilesSource(), make_request(campaign, 0)
    first = source.collect(request)
    assert first.num_labeled == 5
    store = source._inbox.of(campaign).store
    opened = []
    object.__setattr__(source._inbox.of(campaign), "store", Spy(store, opened))
    assert [dict(one) for one in source.collect(request).records] != []
    assert opened == []


class Spy:
    def __init__(self, store, opened):
        self._store, self._opened = store, opened

    def __getattr__(self, name):
        return getattr(self._store, name)

    def open(self, key):
        self._opened.append(key)
        return self._store.open(key)


def test_objects_in_s3_are_read_when_their_etag_changes(s3_uri):
    opened = []
    inbox = Inbox(Spy(S3Store(s3_uri), opened))
    for number in range(12):
        inbox.store.write(f"{number:02d}.csv", csv_of((str(number), "human", "ann")).encode())
    assert len(answers(inbox)) == 12
    assert len(answers(inbox)) == 12
    assert len(opened) == 12
    inbox.store.write("03.csv", csv_of(("3", "neman", "ann")).encode())
    inbox.store.delete("04.csv")
    assert ("03.csv", "neman") in answers(inbox)
    assert opened[12:] == ["03.csv"]
