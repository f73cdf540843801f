"""Digests of large files: right, computed once, and never an old one."""

from __future__ import annotations

import hashlib
import os

import pytest

from activelora.modeling.file_digests import file_sha256


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "digests"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once_and_again_when_it_changed(tmp_path, cache):
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    assert file_sha256(path) == sha256(b"one")
    [note] = cache.iterdir()
    note.write_text(note.read_text().replace(sha256(b"one"), "f" * 64))
    assert file_sha256(path) == "f" * 64  # what is kept is believed
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_sha256(path) == sha256(b"two")
    other = tmp_path / "other"
    other.write_bytes(b"two!")
    other.replace(path)
    assert file_sha256(path) == sha256(b"two!")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"file": [], "sha256": "x"}', '{"sha256": 3}', "\x00"])
def test_a_broken_note_is_ignored_and_mended(tmp_path, cache, content):
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    file_sha256(path)
    [note] = cache.iterdir()
    whole = note.read_text()
    note.write_text(content)
    assert file_sha256(path) == sha256(b"one")
    assert [one.read_text() for one in cache.iterdir()] == [whole]


def test_without_a_cache_that_can_be_written_it_is_computed(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights").write_bytes(b"one")
    assert file_sha256(tmp_path / "weights") == sha256(b"one")


def test_the_hub_s_cache_names_large_files_by_their_digest(tmp_path, cache):
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "main"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for name, content in {"a" * 64: b"large", "b" * 40: b"small"}.items():
        (blobs / name).write_bytes(content)
        (snapshot / content.decode()).symlink_to(f"../../blobs/{name}")
    assert file_sha256(snapshot / "large") == "a" * 64
    assert not cache.exists()
    assert file_sha256(snapshot / "small") == sha256(b"small")  # git's digest is none of the content alone
    (tmp_path / "link").symlink_to(snapshot / "small")
    assert file_sha256(tmp_path / "link") == sha256(b"small")
