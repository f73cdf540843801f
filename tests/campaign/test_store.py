"""The contract that every store keeps, checked on a real disk and on a real S3 server."""

import hashlib
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from activelora.campaign.keys import check_key, check_prefix
from activelora.campaign.local import LocalStore
from activelora.campaign.store import open_store
from activelora.errors import StoreError
from tests.campaign.writer import CONTENT_BYTES

ROOT = Path(__file__).parents[2]


def test_what_is_written_is_read(store):
    store.write("a/b.bin", bytes(range(256)))
    assert store.read("a/b.bin") == bytes(range(256))
    with store.open("a/b.bin") as file:
        file.seek(250)
        assert file.read() == bytes(range(250, 256))


def test_a_write_replaces(store):
    store.write("a", b"long content")
    store.write("a", b"")
    assert store.read("a") == b""
    with store.open("a") as file:
        assert file.read() == b""


def test_what_is_missing_raises_a_key_error(store):
    for key in ("nothing", "no/thing"):
        with pytest.raises(KeyError):
            store.read(key)
        with pytest.raises(KeyError):
            store.open(key)
        assert not store.exists(key)
        store.delete(key)
    assert list(store.list("")) == []
    assert list(store.list("no/")) == []


def test_a_folder_is_not_an_object(store):
    store.write("a/b", b"1")
    assert not store.exists("a")
    with pytest.raises(KeyError):
        store.read("a")


def test_deleted_is_gone(store):
    store.write("a/b", b"1")
    assert store.exists("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")
    assert store.create("a/b", b"2")


def test_create_does_not_replace(store):
    assert store.create("once", b"first")
    assert not store.create("once", b"second")
    assert store.read("once") == b"first"


def test_one_of_sixteen_threads_creates(store):
    for turn in range(5):
        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(lambda n, key=f"race/{turn}": store.create(key, f"thread {n}".encode()), range(16)))
        assert won.count(True) == 1
        assert store.read(f"race/{turn}") == f"thread {won.index(True)}".encode()


def test_one_of_several_processes_creates(store, store_uri):
    start = str(time.time() + 2.5)
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.writer", "race", store_uri, "race", f"process {number}", start],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for number in range(4)
    ]
    said = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert sorted(said) == ["False", "False", "False", "True"]
    assert store.read("race") == f"process {said.index('True')}".encode()


def test_a_killed_writer_leaves_whole_objects_or_none(store, store_uri):
    draw = random.Random(5)
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.writer", "endless", store_uri],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        with writer:
            assert writer.stdout.readline() == "writing\n"
            kill_at = time.monotonic() + draw.uniform(0.05, 0.3)
            while time.monotonic() < kill_at:
                assert_whole(store.read("replaced"))
            writer.kill()
        keys = list(store.list(""))
        assert "replaced" in keys
        assert len(keys) > 1
        for key in keys:
            assert_whole(store.read(key))
            store.delete(key)


def assert_whole(content):
    assert len(content) == CONTENT_BYTES
    assert content.count(content[:1]) == CONTENT_BYTES


def test_keys_come_sorted_and_by_prefix(store):
    keys = ["a-b", "a.b", "a/b", "a/b-c/d", "a/c/d", "ab", "b/ü/ß", "rounds/0002/x", "rounds/0010/x", "z"]
    for key in keys[::-1]:
        store.write(key, key.encode())
    assert list(store.list("")) == sorted(keys)
    assert list(store.list("a/")) == ["a/b", "a/b-c/d", "a/c/d"]
    assert list(store.list("a/b")) == ["a/b", "a/b-c/d"]
    assert list(store.list("rounds/00")) == ["rounds/0002/x", "rounds/0010/x"]
    assert list(store.list("nothing/")) == []


def test_more_keys_than_fit_on_a_page(store):
    keys = [f"many/{number:04d}/manifest.json" for number in range(1005)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.write(key, b"1"), keys))
    assert list(store.list("many/")) == keys


@pytest.mark.parametrize("key", ["ü/日本語/ß.json", "with space and +%&=?.txt", "emoji-🦥", "a" * 200])
def test_odd_names(store, key):
    store.write(key, b"1")
    assert store.read(key) == b"1"
    assert list(store.list("")) == [key]
    assert not store.create(key, b"2")


@pytest.mark.parametrize("num_bytes", [0, 1, 20 << 20])
def test_files_of_any_size_are_uploaded(store, tmp_path, num_bytes):
    path = tmp_path / "file"
    path.write_bytes(random.Random(0).randbytes(num_bytes))
    store.upload("folder/file", path)
    with store.open("folder/file") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert hashlib.sha256(store.read("folder/file")).digest() == hashlib.sha256(path.read_bytes()).digest()


def test_a_source_file_that_is_missing_is_named(store, tmp_path):
    with pytest.raises(StoreError, match=r"missing\.bin: cannot be read: No such file"):
        store.upload("a", tmp_path / "missing.bin")
    assert list(store.list("")) == []


BAD_KEYS = ["", "/etc/passwd", "../x", "a/../../x", "a/..", "a//b", "a/", "./a", "a/./b", "a\x00b", "a\\b", "a\nb"]
BAD_KEYS += ["a/.partial-1", "\ud800", "x" * 1001]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_keys_outside_the_store_are_refused(store, key):
    for operation in (store.read, store.open, store.exists, store.delete):
        with pytest.raises(StoreError, match="is not a key inside the campaign"):
            operation(key)
    for operation in (store.write, store.create):
        with pytest.raises(StoreError, match="is not a key inside the campaign"):
            operation(key, b"1")


@pytest.mark.parametrize("prefix", ["../", "/", "/etc/", "a/../b", "a//"])
def test_prefixes_outside_the_store_are_refused(store, prefix):
    with pytest.raises(StoreError):
        store.list(prefix)


def test_uri_opens_the_same_store(store):
    store.write("a", b"1")
    assert open_store(store.uri).read("a") == b"1"


def test_keys_and_prefixes_that_are_fine():
    assert check_key("rounds/0003/score_pool/shard-00001/manifest.json")
    assert [check_prefix(prefix) for prefix in ("", "a", "a/", "a/b")] == ["", "a", "a/", "a/b"]


@pytest.mark.parametrize("uri", ["gs://bucket/x", "https://host/x", "s3:/bucket/x", "s3:bucket", "", "  ", "file:x"])
def test_other_places_are_refused(uri):
    with pytest.raises(StoreError, match=r"Use a local folder or s3://|Name a local folder or s3://"):
        open_store(uri)


def test_file_uris_are_folders(tmp_path):
    store = open_store(f"file://{tmp_path}/x")
    assert isinstance(store, LocalStore)
    assert store.uri == os.path.realpath(tmp_path / "x")


def test_messages_never_carry_credentials():
    for uri in ("https://me:hunter2@host/x", "s3://me:hunter2@bucket/x"):
        with pytest.raises(StoreError) as caught:
            open_store(uri)
        assert "hunter2" not in str(caught.value)
