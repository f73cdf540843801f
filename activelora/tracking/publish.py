"""What people look at, written anew from the manifests: MLflow, the report and Prometheus metrics."""

from __future__ import annotations

from activelora.campaign.campaign import Campaign


def publish(campaign: Campaign) -> None:
    """Bring all of it up to date. MLflow or a push gateway being down is a warning: the next call catches up."""
    from activelora.tracking.mlflow_sync import sync
    from activelora.tracking.prometheus import report_metrics
    from activelora.tracking.report import write_report

    sync(campaign)
    write_report(campaign)
    report_metrics(campaign)
