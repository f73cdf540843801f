"""Names and places that other systems refuse, told before anybody is asked for labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora.config.conflict import Conflict
from activelora.config.outside_names import S3, crooked, straightened, unfit_experiment, unfit_model

if TYPE_CHECKING:
    from activelora.config import CampaignConfig


def mlflow_names(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield names that MLflow would refuse at every sync."""
    tracking = config.tracking
    if not tracking.enabled:
        return
    if (problem := unfit_experiment(tracking.experiment)) is not None:
        yield Conflict("tracking.experiment", problem, "Choose another name.")
    model = tracking.registered_model
    if model is not None and (problem := unfit_model(model)) is not None:
        near = re.sub(r"[/:\s]+", "-", model).strip("-.")[:100]
        remedy = f"Write, for example, {near}." if near else "Leave it out: then it is the campaign's name."
        yield Conflict("tracking.registered_model", problem, remedy)


def s3_uris(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield places in S3 that are written as a path on a disk may be."""
    for key, uri in s3_settings(config).items():
        if (problem := crooked(uri)) is not None:
            yield Conflict(key, f"{uri} {problem}", f"Write {straightened(uri)}.")


def s3_settings(config: CampaignConfig) -> dict[str, str]:
    """Return the settings that name a place in S3, with their URIs."""
    data, cache = config.data, config.resources.model_cache
    uris = {
        "data.folder": data.folder,
        "data.pool.path": data.pool.path,
        "data.holdout.path": None if data.holdout is None else data.holdout.path,
        "labeling.inbox": config.labeling.inbox,
        "model.base": config.model.base,
        "scoring.nli.model": None if config.scoring.nli is None else config.scoring.nli.model,
        "resources.model_cache.uri": None if cache is None else cache.uri,
    }
    return {key: uri for key, uri in uris.items() if uri is not None and uri.startswith(S3)}
