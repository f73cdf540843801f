"""Base models in an object store: published once from where they are, fetched by whoever needs them.

A published model is a folder or ``s3://`` prefix with ``model.json``, which names its files with size and sha256, and
the files under their digest. ``model.json`` is written last and only once: a reader sees all of a model or none.
Only weights as safetensors are taken, and nothing that could be run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from activelora.campaign.store import Store, open_store
from activelora.errors import ModelError
from activelora.modeling.arriving import arrive
from activelora.progress import track

logger = logging.getLogger(__name__)

MANIFEST_KEY = "model.json"
CACHE_VARIABLE = "ACTIVELORA_MODEL_CACHE"
"""The ``s3://`` prefix under which pods find models by name, and publish what they fetch from the model hub."""
PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.jinja", "tokenizer.model")
_TRIES = 3
_CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_][\w.\-]*(\.safetensors|\.json|\.txt|\.jinja)|tokenizer\.model")


class PublishedFile(BaseModel):
    """A file of a published model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size: int
    sha256: str

    @property
    def key(self) -> str:
        """Where it is: by its digest, so that two publishers never mix their files."""
        return f"files/{self.sha256}/{self.name}"


class Published(BaseModel):
    """What ``model.json`` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What was published, for people."""
    files: tuple[PublishedFile, ...]


def publish(folder: Path, uri: str, name: str) -> bool:
    """Publish a model's folder, and tell whether this call did; a model that is there stays as it is.

    Args:
        folder: Folder with ``config.json``, safetensors and a tokenizer. Files of other kinds are left out.
        uri: ``s3://bucket/prefix`` (or a folder) for this model alone.
        name: Name for people: a hub id, or the folder's name.

    Raises:
        ModelError: The folder holds no model that can be published.
        StoreError: The store cannot be written.
    """
    store = open_store(uri)
    if store.exists(MANIFEST_KEY):
        return False
    paths = sorted(path for path in folder.iterdir() if path.is_file() and _NAME.fullmatch(path.name))
    if not (folder / "config.json").is_file() or not any(path.suffix == ".safetensors" for path in paths):
        raise ModelError(
            "has no config.json or no safetensors, so that it is no model that can be published",
            where=str(folder),
            remedy="Save it with save_pretrained: pickled weights are not taken.",
        )
    files = []
    for path in track(paths, f"publishing {name}", len(paths)):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files.append(PublishedFile(name=path.name, size=path.stat().st_size, sha256=digest))
        if not store.exists(files[-1].key):
            store.upload(files[-1].key, path)
    content = Published(name=name, files=tuple(files)).model_dump_json(indent=1)
    return store.create(MANIFEST_KEY, content.encode())


def find(uri: str) -> Published | None:
    """Return what is published at a URI, or None.

    Raises:
        ModelError: It is not what :func:`publish` writes, or names files that are not taken.
    """
    try:
        content = open_store(uri).read(MANIFEST_KEY)
    except KeyError:
        return None
    try:
        found = Published.model_validate_json(content)
        names = [file.name for file in found.files]
        valid = all(_NAME.fullmatch(name) for name in names) and len(set(names)) == len(names)
        valid &= all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) and file.size >= 0 for file in found.files)
    except ValidationError:
        valid = False
    if not valid:
        raise ModelError(
            "is not the list of a published model's files",
            where=f"{uri}/{MANIFEST_KEY}",
            remedy="Publish it anew at another place: activelora model push FOLDER s3://bucket/prefix.",
        )
    return found


def fetch(uri: str, target: Path) -> Path:
    """Fetch a published model into a folder, unless it is there, and return the folder. It appears whole or not at all.

    Raises:
        ModelError: Nothing is published there, or a file is not what ``model.json`` says, also when fetched again.
        StoreError: The store cannot be read.
    """
    if arrive(target, partial(_fetch_files, uri)):
        logger.info("%s is in %s", uri, target)
    return target


def _fetch_files(uri: str, scratch: Path) -> Path:
    published = find(uri)
    if published is None:
        raise ModelError(
            "no model is published here",
            where=f"model {uri}",
            remedy="Publish it with: activelora model push FOLDER s3://bucket/prefix.",
        )
    store = open_store(uri)
    folder = scratch / "model"
    folder.mkdir()
    for file in track(published.files, f"fetching {published.name}", len(published.files)):
        _fetch_file(store, file, folder / file.name)
    return folder


def cached_model_uri(cache_uri: str, base: str, revision: str | None) -> str:
    """Return where a model of the hub, or the built-in one, is in a cache of models."""
    digest = hashlib.sha256(f"{base}@{revision or ''}".encode()).hexdigest()[:12]
    return f"{cache_uri.rstrip('/')}/{re.sub(r'[^A-Za-z0-9.-]+', '-', base)}-{digest}"


def model_cache_uri() -> str | None:
    """Return the cache of models that the environment names."""
    return os.environ.get(CACHE_VARIABLE) or None


def _fetch_file(store: Store, file: PublishedFile, target: Path) -> None:
    """Fetch a file; what arrives damaged is fetched again, a few times."""
    for _ in range(_TRIES):
        try:
            with store.open(file.key) as source, target.open("wb") as sink:
                digest = _copy(source, sink)
        except KeyError:
            break
        if digest == file.sha256:
            return
        logger.warning("%s arrived with sha256 %s, not %s", file.name, digest, file.sha256)
    raise ModelError(
        f"{file.name} is not there or not what {MANIFEST_KEY} says it is",
        where=f"model {store.uri}",
        remedy="It was changed or damaged after it was published: publish it anew at another place.",
    )


def _copy(source: BinaryIO, sink: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        sink.write(chunk)
    return digest.hexdigest()
