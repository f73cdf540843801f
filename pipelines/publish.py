"""What people look at, written anew from the manifests: MLflow and the report."""

from __future__ import annotations

from activelora.campaign.campaign import Campaign


def publish(campaign: Campaign) -> None:
    """Bring MLflow and the report up to date. MLflow being down is a warning: the next call catches up."""
    from activelora.tracking.mlflow_sync import sync
    from activelora.tracking.report import write_report

    sync(campaign)
    write_report(campaign)
