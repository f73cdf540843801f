"""From a base model's name to a folder or hub id that transformers loads from."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from activelora.config import ModelConfig
from activelora.errors import ModelError, StoreError
from activelora.modeling import builtin, published
from activelora.modeling.arriving import MARK

logger = logging.getLogger(__name__)


def local_folder(config: ModelConfig) -> Path | None:
    """Return the folder where the model is on this machine, or None if it is still to be fetched."""
    if config.base == builtin.NAME:
        folder = builtin.builtin_path()
        return folder if (folder / "config.json").exists() else None
    if config.base.startswith("s3://"):
        folder = _cached_folder(config.base)
        return folder if (folder / "config.json").exists() else None
    folder = Path(config.base).expanduser()
    return folder if folder.is_dir() else None


def fetched(config: ModelConfig) -> str:
    """Return what to load from, fetched where that is not the model hub's own business.

    Raises:
        ModelError: It cannot be fetched.
        StoreError: An object store cannot be reached.
    """
    if config.base.startswith("s3://"):
        return str(published.fetch(config.base, _cached_folder(config.base)))
    if (folder := local_folder(config)) is not None:
        return str(folder)
    cache_uri = published.model_cache_uri()
    if cache_uri is None:
        return str(builtin.ensure_builtin()) if config.base == builtin.NAME else config.base
    uri = published.cached_model_uri(cache_uri, config.base, config.revision)
    target = builtin.builtin_path() if config.base == builtin.NAME else _cached_folder(uri)
    if (target / "config.json").exists() or published.find(uri) is not None:
        return str(published.fetch(uri, target))
    folder = builtin.ensure_builtin() if config.base == builtin.NAME else _from_hub(config)
    try:
        published.publish(folder, uri, config.base)
    except StoreError as error:  # the next pod fetches it from where this one did
        logger.warning("the model could not be published for the other pods: %s", error)
    return str(folder)


def folder_of(config: ModelConfig) -> Path:
    """Return the folder of a model, fetched where it is not on this machine.

    Raises:
        ModelError: It cannot be fetched.
    """
    if config.base == builtin.NAME:
        return builtin.ensure_builtin()
    if config.base.startswith("s3://"):
        return published.fetch(config.base, _cached_folder(config.base))
    return local_folder(config) or _from_hub(config)


def cached_snapshot(config: ModelConfig) -> Path | None:
    """Return the folder where the model hub's client keeps a model that it has fetched; None if it has none.

    Args:
        config: The model section.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if config.base == builtin.NAME or "://" in config.base:
        return None
    try:
        found = try_to_load_from_cache(config.base, MARK, revision=config.revision)
    except HFValidationError:  # no hub id
        return None
    return Path(found).parent if isinstance(found, str) else None


def _from_hub(config: ModelConfig) -> Path:
    from huggingface_hub import snapshot_download

    patterns = list(published.PATTERNS)
    try:
        folder = snapshot_download(
            config.base, revision=config.revision, allow_patterns=patterns, ignore_patterns=["*/*"]
        )
    except (OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        remedy = "Check the id and the network; a private model needs HF_TOKEN."
        raise ModelError(f"cannot be fetched: {reason}", where=f"model.base: {config.base}", remedy=remedy) from error
    return Path(folder)


def _cached_folder(uri: str) -> Path:
    return builtin.cache_folder() / "models" / f"published-{hashlib.sha256(uri.encode()).hexdigest()[:16]}"
