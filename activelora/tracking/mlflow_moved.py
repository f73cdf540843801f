"""A campaign's folder that was moved or copied: its own MLflow database follows.

MLflow notes absolute places of artifacts, in an experiment, its runs, models and versions, and has no call to change
them. So they are changed in the database, where it is the campaign's own: the folder is moved as a whole, so a place in
it differs by the beginning alone.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from activelora.campaign.campaign import Campaign
from activelora.tracking.mlflow_location import artifact_location, without_credentials

logger = logging.getLogger(__name__)
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_TIMEOUT_SECONDS = 20.0


def follow_move(campaign: Campaign) -> bool:
    """Correct the places of artifacts in a campaign's own database, if its folder was elsewhere when they were noted.

    Returns:
        Whether there was anything to correct.
    """
    now, file = artifact_location(campaign), Path(campaign.store.uri) / "mlflow.db"
    if now is None or not file.is_file():
        return False
    try:
        with closing(sqlite3.connect(file, timeout=_TIMEOUT_SECONDS)) as database, database:
            before = _former_locations(database, now)
            for former in before:
                _rewrite(database, former, now)
    except sqlite3.Error as error:
        logger.warning("places of artifacts in %s are not looked at: %s", file, error)
        return False
    for former in before:
        logger.info("MLflow's places follow the campaign's folder from %s", without_credentials(former))
    return bool(before)


def _former_locations(database: sqlite3.Connection, now: str) -> list[str]:
    """Return where experiments of the campaign kept their artifacts, but for the place where they are now."""
    if not _has(database, "experiments", "artifact_location"):
        return []
    folder = now.rpartition("/")[2]
    found = database.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    return sorted(uri for (uri,) in found if uri and uri != now and uri.endswith(f"/{folder}"))


def _rewrite(database: sqlite3.Connection, former: str, now: str) -> None:
    for table, column in _LOCATIONS:
        if _has(database, table, column):
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                (now, len(former) + 1, len(former), former),
            )


def _has(database: sqlite3.Connection, table: str, column: str) -> bool:
    """Tell whether this version of MLflow has the column."""
    return any(row[1] == column for row in database.execute(f"PRAGMA table_info({table})"))
