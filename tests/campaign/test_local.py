"""What only a folder can do wrong."""

import os
import resource
import subprocess
import sys
import textwrap

import pytest

from activelora.campaign.local import LocalStore
from activelora.errors import StoreError
from tests.privileges import without_root


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 1 MiB; mounting one needs root."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_full_disk_is_named_and_nothing_is_left(full_disk, tmp_path):
    store = LocalStore(full_disk / "campaign")
    store.write("small", b"1")
    big = tmp_path / "big"
    big.write_bytes(b"x" * (2 << 20))
    for operation in (store.write, store.create):
        with pytest.raises(StoreError, match=r"campaign/big: the disk is full\. Free some space and run again"):
            operation("big", big.read_bytes())
    with pytest.raises(StoreError, match="the disk is full"):
        store.upload("big", big)
    assert not store.exists("big")
    assert files_in(full_disk) == [full_disk / "campaign" / "small"]
    store.write("after", b"2")


def test_a_file_size_limit_is_named(tmp_path):
    script = f"""
        import resource, signal
        from pathlib import Path
        from activelora.campaign.local import LocalStore
        from activelora.errors import StoreError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.getrlimit(resource.RLIMIT_FSIZE)[1]}))
        try:
            LocalStore(Path({str(tmp_path)!r})).write("big", b"x" * 2000)
        except StoreError as error:
            print(error)
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    ).stdout
    assert "big: the file is larger than this system allows. Raise the limit" in said
    assert files_in(tmp_path) == []


def test_a_folder_without_permissions_is_named(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    store = LocalStore(folder)
    store.write("there", b"1")
    folder.chmod(0o555 if os.geteuid() == 0 else 0o500)
    (folder / "there").chmod(0)
    try:
        with without_root():
            for refused in (
                lambda: store.write("new", b"1"),
                lambda: store.create("new/new", b"1"),
                lambda: store.read("there"),
                lambda: store.delete("there"),
            ):
                with pytest.raises(StoreError, match=r"this user may not read or write it\. Fix the folder's perm"):
                    refused()
    finally:
        folder.chmod(0o755)
    assert files_in(folder) == [folder / "there"]


def test_a_folder_that_cannot_be_listed_is_not_empty(tmp_path):
    store = LocalStore(tmp_path)
    store.write("rounds/0000/x", b"1")
    (tmp_path / "rounds").chmod(0)
    try:
        with without_root(), pytest.raises(StoreError, match="may not read"):
            store.list("rounds/")
    finally:
        (tmp_path / "rounds").chmod(0o755)


def test_a_read_only_file_system_is_named(full_disk):
    store = LocalStore(full_disk)
    store.write("there", b"1")
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    with pytest.raises(StoreError, match=r"its file system is read-only\. Mount it for writing"):
        store.create("new", b"1")
    assert store.read("there") == b"1"


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for store, key in ((LocalStore(tmp_path / "file"), "a"), (LocalStore(tmp_path), "file/a")):
        with pytest.raises(StoreError, match="a file is where a folder should be"):
            store.write(key, b"1")
        with pytest.raises(KeyError):
            store.read(key)
        assert not store.exists(key)
    assert (tmp_path / "file").read_text() == "in the way"


def test_the_folder_appears_with_the_first_write(tmp_path):
    store = LocalStore(tmp_path / "a" / "b")
    assert not store.exists("x")
    assert not (tmp_path / "a").exists()
    store.create("x", b"1")
    assert (tmp_path / "a" / "b" / "x").read_bytes() == b"1"


def test_half_written_files_are_never_listed(tmp_path):
    store = LocalStore(tmp_path)
    store.write("a/b", b"1")
    (tmp_path / "a" / ".partial-0123").write_bytes(b"half")
    assert list(store.list("")) == ["a/b"]
    assert list(store.list("a/")) == ["a/b"]


def test_the_home_folder_is_found(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.setenv("HOME", str(tmp_path))
    assert LocalStore(Path("~/campaigns")).folder == tmp_path / "campaigns"
