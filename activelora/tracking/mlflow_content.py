"""What MLflow shows of a campaign: parameters, metrics, data sets and files, all derived from manifests."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from activelora.campaign.campaign import Campaign
from activelora.campaign.frozen import CAMPAIGN_KEY
from activelora.campaign.history import RoundRecord, area_under_learning_curve, evaluated
from activelora.campaign.manifest import Manifest
from activelora.config.steps import StepName
from activelora.evaluation.headline import ACCURACY, Headline
from activelora.kinds.registry import headline_of
from activelora.tracking.mlflow_names import grouped
from activelora.tracking.plots import CurvePoint

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

MAX_PARAM_LENGTH = 6000
"""MLflow's limit."""
_FOLDERS: dict[StepName, str] = {
    "train_adapter": "",
    "evaluate_adapter": "evaluation",
    "select_batch": "selection",
    "await_labels": "labels",
}
"""Folders of the steps' files in the round's artifacts; train_adapter's lie in ``adapter/`` already."""


def milliseconds(iso: str) -> int:
    """Return a manifest's time as MLflow writes times."""
    return round(datetime.fromisoformat(iso).timestamp() * 1000)


def flat_parameters(section: BaseModel, prefix: str = "") -> dict[str, str]:
    """Return a configuration as dotted key → text; lists and mappings as JSON, long values cut with a mark."""
    flat: dict[str, str] = {}
    plain = section.model_dump(mode="json")
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            flat |= flat_parameters(value, f"{prefix}{name}.")
        else:
            text = plain[name] if isinstance(plain[name], str) else json.dumps(plain[name], ensure_ascii=False)
            flat[prefix + name] = _cut(text)
    return flat


def metrics_of(record: RoundRecord, so_far: list[RoundRecord], headline: Headline = ACCURACY) -> list[Metric]:
    """Return a round's metrics with step = round, named by group, each with the time of the manifest it stands in.

    The same manifests give the same points, which MLflow stores once however often they are written.

    Args:
        record: The round.
        so_far: The rounds up to this one, for the area under the learning curve.
        headline: The metric of that curve.
    """
    from mlflow.entities import Metric

    points = []
    for manifest in record.steps:  # not of score_pool: its shards come one by one, and selection knows their sum
        values = dict(manifest.metrics)
        if manifest.step == "train_adapter":
            values.pop("num_labels", None)
        elif manifest.step == "evaluate_adapter":
            values["num_labels"] = record.num_labels
            if (area := area_under_learning_curve(so_far, headline.metric)) is not None:
                values["aulc"] = area
        named = {grouped(manifest.step, name): value for name, value in values.items()}
        if manifest.step == "select_batch":
            named[grouped("score_pool", "seconds")] = record.scored.seconds
        time_ms = milliseconds(manifest.finished_at)
        points += [Metric(name, float(value), time_ms, record.round) for name, value in sorted(named.items())]
    return points


def datasets_of(campaign: Campaign, ingest: Manifest) -> list[DatasetInput]:
    """Return pool, holdout and calibration split as data set inputs: name, digest, place, number of rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    store = campaign.store.uri
    inputs = []
    for context, start in (("pool", "pool/"), ("holdout", "holdout."), ("calibration", "calibration.")):
        digests = [entry.sha256 for name, entry in sorted(ingest.files.items()) if name.startswith(start)]
        if digests:
            dataset = Dataset(
                name=f"{campaign.config.name}-{context}",
                digest=hashlib.sha256("".join(digests).encode()).hexdigest()[:16],
                source_type="s3" if store.startswith("s3://") else "local",
                source=json.dumps({"uri": f"{store}/pool"}),
                profile=json.dumps({"num_rows": int(ingest.metrics[f"num_{context}"])}),
            )
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    return inputs


def artifact_folder(step: StepName) -> str | None:
    """Return where a step's files go among the round's artifacts; None if they stay in the campaign."""
    return _FOLDERS.get(step)


def write_step_files(campaign: Campaign, manifest: Manifest, folder: Path) -> None:
    """Write a step's files into a local folder, and for an evaluation its plots."""
    for name in manifest.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(campaign.read_file(manifest, name))
    if manifest.step == "evaluate_adapter":
        _draw(campaign, manifest, folder)


def campaign_files(campaign: Campaign, records: list[RoundRecord]) -> dict[str, bytes]:
    """Return the campaign's own artifacts: configuration, the report as last written, learning curve."""
    from activelora.tracking import plots
    from activelora.tracking.figures import to_png
    from activelora.tracking.report import REPORT_KEY

    files = {key: campaign.store.read(key) for key in (CAMPAIGN_KEY, REPORT_KEY) if campaign.store.exists(key)}
    points = [CurvePoint(record.num_labels, record.metrics) for record in evaluated(records)]
    if len(points) > 1:
        config = campaign.config
        level, headline = config.evaluation.confidence_level, headline_of(config)
        figure = plots.learning_curve({config.acquisition.strategy: points}, level, headline)
        files["learning_curve.png"] = to_png(figure)
    return files


def _draw(campaign: Campaign, evaluation: Manifest, folder: Path) -> None:
    from activelora.tracking import plots
    from activelora.tracking.figures import to_png

    document = campaign.read_json(evaluation, "evaluation.json")
    figures = plots.evaluation_figures(document)
    if document["scaled"] is not None and document["scaled"]["reliability"] is not None:
        figures["reliability_scaled"] = plots.reliability_diagram(document["scaled"], "Reliability, with temperature")
    for name, figure in figures.items():
        (folder / f"{name}.png").write_bytes(to_png(figure))


def _cut(text: str) -> str:
    if len(text) <= MAX_PARAM_LENGTH:
        return text
    mark = f"… (cut, {len(text)} characters)"
    return text[: MAX_PARAM_LENGTH - len(mark)] + mark
