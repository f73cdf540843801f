"""From what a person names to a model: a campaign, an exported folder, or a model of MLflow's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import finished_units
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot, snapshot_of
from activelora.errors import ModelError, StoreError
from activelora.evaluation.gates import champion
from activelora.prediction.bundle import BUNDLE_NAME, Bundle, read_bundle, write_bundle

MLFLOW_SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")
"""How the URI of a model of MLflow's begins."""
Fetch = Callable[[str, Path], Path]
"""Brings a model of MLflow's, by its URI, into a folder, and returns where it is there."""
_MOST_SHOWN = 3


@contextmanager
def open_bundle(what: str, round_: int | None = None, *, fetch: Fetch | None = None) -> Iterator[Bundle]:
    """Return the model that somebody names; what had to be fetched is thrown away at the end.

    Args:
        what: A campaign's URI or folder, a folder that was exported, or a model of MLflow's: its folder or its URI.
        round_: A round of the campaign; None is its champion.
        fetch: Fetches models of MLflow's.

    Raises:
        ModelError: There is no model; of a campaign without a champion, the message names the gates that failed.
        StoreError: There is no campaign, or the round is not evaluated.
    """
    with tempfile.TemporaryDirectory(prefix="activelora-model-") as temporary:
        target = Path(temporary)
        if what.startswith(MLFLOW_SCHEMES):
            if fetch is None:
                raise ModelError("models of MLflow's cannot be fetched here", where=what)
            _refuse_round(what, round_)
            yield read_bundle(_bundle_folder(fetch(what, target)))
        elif (folder := _local_model(what)) is not None:
            _refuse_round(what, round_)
            yield read_bundle(folder)
        else:
            campaign = Campaign.open(what, to_read=True)
            number = champion_round(campaign) if round_ is None else evaluated_round(campaign, round_)
            yield write_bundle(campaign, number, target, hashes_base=False)


def names_campaign(what: str) -> bool:
    """Tell whether a place is to be read as a campaign, and not as one model."""
    return not what.startswith(MLFLOW_SCHEMES) and _local_model(what) is None


def champion_round(campaign: Campaign) -> int:
    """Return the round of the campaign's champion.

    Raises:
        ModelError: It has none: the message says why the newest rounds did not become it.
    """
    seen = snapshot_of(campaign)
    found = champion(seen)
    if found is not None:
        return found.round
    rounds = _evaluated_rounds(seen)
    if not rounds:
        raise ModelError("no round of the campaign is evaluated yet", where=campaign.store.uri, remedy="Run it first.")
    reasons = [_reasons(seen, round_) for round_ in rounds[-_MOST_SHOWN:]]
    trained = f"1 to {rounds[-1]}, or 0 for the base model" if rounds[-1] else "0, the base model"
    raise ModelError(
        f"the campaign has no champion: no round has passed its gates ({'; '.join(reasons)})",
        where=campaign.store.uri,
        remedy=f"Name a round with --round N ({trained}).",
    )


def _reasons(seen: Snapshot, round_: int) -> str:
    gates = seen.require(Unit("evaluate_adapter", round_)).details["gates"]
    said = ", ".join(gates["reasons"]) or "passed"
    return said if said.startswith("round ") else f"round {round_}: {said}"


def evaluated_round(campaign: Campaign, round_: int) -> int:
    """Return the round.

    Raises:
        StoreError: It is not evaluated.
    """
    rounds = _evaluated_rounds(snapshot_of(campaign))
    if round_ not in rounds:
        shown = ", ".join(map(str, rounds)) or "none"
        problem = f"round {round_} is not evaluated; the rounds that are: {shown}"
        raise StoreError(problem, where=campaign.store.uri, remedy="Name one of them with --round.")
    return round_


def _evaluated_rounds(seen: Snapshot) -> list[int]:
    return sorted(unit.round for unit in finished_units(seen) if unit.step == "evaluate_adapter")


def _refuse_round(what: str, round_: int | None) -> None:
    if round_ is not None:
        problem = "rounds belong to campaigns, and this is one model"
        raise ModelError(problem, where=what, remedy="Leave --round out, or name the campaign.")


def _local_model(what: str) -> Path | None:
    """Return the bundle's folder where something names a local folder that holds one, else None."""
    if "://" in what or not Path(what).is_dir():
        return None
    folder = Path(what)
    if (folder / BUNDLE_NAME).is_file():
        return folder
    return _bundle_folder(folder) if (folder / "MLmodel").is_file() else None


def _bundle_folder(folder: Path) -> Path:
    """Return where in a model of MLflow's the bundle lies.

    Raises:
        ModelError: Nowhere.
    """
    if (folder / BUNDLE_NAME).is_file():
        return folder
    found = sorted(folder.glob(f"artifacts/*/{BUNDLE_NAME}")) + sorted(folder.glob(f"artifacts/{BUNDLE_NAME}"))
    if not found:
        problem = "the model was not registered by ActiveLoRA, or by a version before 0.2"
        remedy = "Name the campaign instead."
        raise ModelError(problem, where=str(folder), remedy=remedy)
    return found[0].parent
