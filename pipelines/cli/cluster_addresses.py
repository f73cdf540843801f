"""Addresses that only a cluster's DNS knows: a laptop that cannot find them says so, and does not call them wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activelora.errors import StoreError
from pipelines.cluster.service_names import Service, service_unknown_here

if TYPE_CHECKING:
    from activelora.config import CampaignConfig
    from pipelines.cli.findings import Findings

_DOCTOR = "Pods know it; `activelora doctor` looks for it as they do"


def services_unknown_here(config: CampaignConfig) -> list[str]:
    """Return a warning for each server of the campaign file whose name is the cluster's and cannot be found here."""
    addresses = {
        "labeling.label_studio.url": config.labeling.label_studio.url,
        "labeling.llm.url": config.labeling.llm.url,
        "tracking.uri": config.tracking.uri if config.tracking.enabled else None,
        "tracking.pushgateway": config.tracking.pushgateway,
    }
    return [
        f"{key}: {_inside(url)}, so it was not tried. {_DOCTOR}"
        for key, url in addresses.items()
        if url and service_unknown_here(url) is not None
    ]


def warn_of_store(config: CampaignConfig, findings: Findings) -> frozenset[str]:
    """Warn where the object store's name is the cluster's and cannot be found here.

    Returns:
        The settings that name something in it, which cannot be looked at from here; none where it can be asked.
    """
    from activelora.rules.outside import s3_settings

    uris = s3_settings(config)
    if not uris or (found := _store_unknown_here(next(iter(uris.values())))) is None:
        return frozenset()
    url, service = found
    findings.warnings.append(
        f"{', '.join(uris)}: the object store {_inside(url)}, so nothing in it was looked at. To look at it from here: "
        f"{_forward(service)}"
    )
    return frozenset(uris)


def refuse_unknown_store(uri: str) -> None:
    """Refuse a campaign in an object store whose name cannot be found here, before its client tries for long.

    Args:
        uri: URI of the campaign.

    Raises:
        StoreError: It lies in such a store.
    """
    if uri.startswith("s3://") and (found := _store_unknown_here(uri)) is not None:
        url, service = found
        raise StoreError(
            f"the object store {_inside(url)}, and the campaign is read and written from here",
            where=uri,
            remedy=f"{_forward(service)}. Pods keep the address in resources.config_map.",
        )


def _store_unknown_here(uri: str) -> tuple[str, Service] | None:
    from activelora.campaign.s3 import S3Store

    url = S3Store(uri).endpoint_url
    service = service_unknown_here(url)
    return None if service is None else (url, service)


def _inside(url: str) -> str:
    return f"{url} has a name that the cluster gives and this machine cannot find"


def _forward(service: Service) -> str:
    return f"{service.forward_command} & export AWS_ENDPOINT_URL_S3=http://localhost:{service.port}"
