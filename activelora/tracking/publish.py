"""What people look at, written anew from the manifests: MLflow, the report and Prometheus metrics."""

from __future__ import annotations

from activelora.campaign.snapshot import View, snapshot_of


def publish(campaign: View) -> None:
    """Bring all of it up to date. MLflow or a push gateway being down is a warning: the next call catches up."""
    from activelora.tracking.mlflow_sync import sync
    from activelora.tracking.prometheus import report_metrics
    from activelora.tracking.report import write_report

    seen = snapshot_of(campaign)
    sync(seen)
    write_report(seen)
    report_metrics(seen)
