"""Which files a pool's source holds now, in which version, and what is new of them since they were last taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from activelora.campaign.manifest import Manifest
from activelora.campaign.store import open_store
from activelora.config import CampaignConfig
from activelora.errors import ConfigError, DataError
from activelora.pool.files import SourceFile, find_files, fixed_part, locate

FILES = "files"
"""The detail of ingest_pool with the version of each file that was taken in, by name."""
GONE = "gone"
"""The detail of a refresh with the names of files that are there no more."""


@dataclass(frozen=True)
class Arrivals:
    """What a look at the source has found.

    Attributes:
        taken: Version of each file as it was last taken in, by name.
        files: The files that are new or changed, by name, in the order of the names.
        versions: Their versions.
        gone: Names of files that were taken in and are there no more, in order.
        notes: What is to be said of the source, in words.
    """

    taken: Mapping[str, str]
    files: Mapping[str, SourceFile]
    versions: Mapping[str, str]
    gone: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def replaced(self) -> tuple[str, ...]:
        """Names of files that had been taken in with another content, in order."""
        return tuple(name for name in self.files if name in self.taken)


def refuse_unlisted(config: CampaignConfig) -> None:
    """Refuse to look for new files where a source has none.

    Raises:
        ConfigError: It is a data set of the hub, or the built-in one.
    """
    path = config.data.pool.path
    if path.startswith(("hf://", "builtin:")):
        raise ConfigError(
            f"the pool is `{path}`, which has no files that could be new",
            where="data.pool.path",
            remedy="A pool that grows is a folder, a glob or an s3:// prefix.",
        )


def look(config: CampaignConfig, done: Iterable[Manifest]) -> Arrivals:
    """Look at the pool's source.

    Args:
        config: The campaign's settings.
        done: What has been taken in: ingest_pool's manifests, in order.

    Raises:
        ConfigError: The source has no files.
        StoreError: S3 cannot be reached.
    """
    refuse_unlisted(config)
    taken, notes = _taken(done), list[str]()
    try:
        files = source_files(config, notes.append)
    except DataError as error:  # nothing is there: what was taken in stays
        files = {}
        notes.append(f"{error.where}: {error.problem}")
    now = versions_of(config, files)
    new = {name: files[name] for name in sorted(now) if taken.get(name) != now[name]}
    gone = tuple(sorted(taken.keys() - now.keys()))
    return Arrivals(taken, new, {name: now[name] for name in new}, gone, tuple(notes))


def source_files(config: CampaignConfig, note: Callable[[str], None] = lambda text: None) -> dict[str, SourceFile]:
    """Return the files of the pool's source by their names below it, which stay the same where the data move.

    Args:
        config: The campaign's settings.
        note: Takes sentences on files that are not read.

    Raises:
        DataError: There are none.
        StoreError: S3 cannot be reached.
    """
    source = config.data.pool
    files = find_files(source, config.data.folder, note)
    location = locate(source.path, config.data.folder)
    fixed = fixed_part(location)
    is_folder = fixed == location != files[0].name
    root = f"{location}/" if is_folder else fixed[: fixed.rindex("/") + 1]
    return {file.name.removeprefix(root): file for file in files}


def versions_of(config: CampaignConfig, files: Mapping[str, SourceFile]) -> dict[str, str]:
    """Return the versions of files, by name: of size and content; in S3 of size, ETag and time, without reading.

    A file that goes meanwhile is left out.
    """
    location = locate(config.data.pool.path, config.data.folder)
    if not location.startswith("s3://"):
        return {name: _version(*digest) for name, digest in digests_of(files).items()}
    bucket, _, key = fixed_part(location).removeprefix("s3://").partition("/")
    listed = {f"s3://{bucket}/{one.key}": one.version for one in open_store(f"s3://{bucket}").list_versions(key)}
    return {name: listed[file.name] for name, file in files.items() if file.name in listed}


def first_versions(config: CampaignConfig) -> tuple[dict[str, str], dict[str, tuple[str, int]]]:
    """Return the versions of the pool's files, and the digests that were read for them: file → sha256 and size.

    A file on disk is read once for both; one in S3 is not read, and has no digest here.

    Args:
        config: The campaign's settings.
    """
    files = source_files(config)
    if locate(config.data.pool.path, config.data.folder).startswith("s3://"):
        return versions_of(config, files), {}
    digests = digests_of(files)
    versions = {name: _version(*digest) for name, digest in digests.items()}
    return versions, {files[name].name: digest for name, digest in digests.items()}


def digests_of(files: Mapping[str, SourceFile]) -> dict[str, tuple[str, int]]:
    """Return sha256 and size in bytes of files by name, without those that have gone meanwhile."""
    found: dict[str, tuple[str, int]] = {}
    for name, file in files.items():
        with suppress(DataError):
            found[name] = file.digest()
    return found


def _version(sha256: str, num_bytes: int) -> str:
    return f"{num_bytes}-{sha256[:32]}"


def _taken(done: Iterable[Manifest]) -> dict[str, str]:
    taken: dict[str, str] = {}
    for manifest in done:
        taken |= manifest.details.get(FILES, {})
        for name in manifest.details.get(GONE, ()):
            taken.pop(name, None)
    return taken
