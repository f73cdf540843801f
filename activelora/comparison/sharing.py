"""What campaigns that differ in query strategy and self-training alone have in common: round 0, up to its scores."""

from __future__ import annotations

import logging

from activelora.acquisition.registry import needs_of
from activelora.acquisition.seed_set import acquisition_in, is_scored, measures_scored
from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.config import AcquisitionConfig, CampaignConfig
from activelora.config.file import config_digest
from activelora.config.own_settings import own_sections
from activelora.uncertainty.semantic_entropy import MEANING_MEASURES
from activelora.uncertainty.text_measures import ORACLE_NLL

logger = logging.getLogger(__name__)
_READ = (Unit("ingest_pool"), Unit("evaluate_adapter", 0))
"""What round 0's scores read."""


def share_beginning(campaign: Campaign, donor: Campaign) -> list[Unit]:
    """Take over what another campaign has done and this one would do alike, and return the units.

    Only between campaigns whose frozen settings are equal but for ``acquisition.strategy`` and
    ``training.self_training``, which the pool's reading and round 0's evaluation do not look at, as nothing is trained
    before; round 0's scores where both strategies need the same of them. Files come first and are checked against their
    digests, the manifest is created last: being killed in between does no harm.

    Args:
        campaign: A campaign, begun or not.
        donor: Another one.
    """
    if not _begin_alike(campaign, donor):
        return []
    units = list(_READ)
    ingest = donor.manifest(units[0])
    if ingest is not None and _scores_alike(campaign.config.acquisition, donor.config.acquisition):
        units += [Unit("score_pool", 0, shard) for shard in range(int(ingest.details["num_shards"]))]
    taken = []
    for unit in units:
        if campaign.manifest(unit) is not None:
            continue
        if not _take(campaign, donor, unit):
            break  # each unit reads the ones before it
        taken.append(unit)
    if taken:
        logger.info("taken over from %s: %s", donor.store.uri, ", ".join(map(str, taken)))
    return taken


def _take(campaign: Campaign, donor: Campaign, unit: Unit) -> bool:
    manifest = donor.manifest(unit)
    if manifest is None:
        return False
    own = {str(unit): one.digest for unit in _READ if (one := campaign.manifest(unit)) is not None}
    if any(own.get(name) != digest for name, digest in manifest.inputs.items()):
        return False
    for name, entry in manifest.files.items():
        campaign.store.write(entry.key, donor.read_file(manifest, name))
    campaign.store.create(unit.manifest_key, manifest.model_dump_json(indent=1).encode())
    return True


def _begin_alike(campaign: Campaign, donor: Campaign) -> bool:
    strategy, self_training = campaign.config.acquisition.strategy, campaign.config.training.self_training
    acquisition = donor.config.acquisition.model_copy(update={"strategy": strategy})
    training = donor.config.training.model_copy(update={"self_training": self_training})
    alike = donor.config.model_copy(update={"acquisition": acquisition, "training": training})
    alike = _with_sections(alike, campaign.config)
    return config_digest(alike) == config_digest(_with_sections(campaign.config, alike))


def _with_sections(config: CampaignConfig, other: CampaignConfig) -> CampaignConfig:
    """Return settings with those sections of other packages' strategies too that only another campaign's read."""
    own = own_sections(other.acquisition) | own_sections(config.acquisition)
    return config.model_copy(update={"acquisition": config.acquisition.model_copy(update=own)})


def _scores_alike(one: AcquisitionConfig, other: AcquisitionConfig) -> bool:
    if is_scored(one, 0) != is_scored(other, 0):
        return False
    firsts = [acquisition_in(config, 0) for config in (one, other)]
    reads = [measures_scored(config, 0) for config in (one, other)]
    extra = [(ORACLE_NLL in read, not read.isdisjoint(MEANING_MEASURES)) for read in reads]
    return needs_of(firsts[0]) == needs_of(firsts[1]) and extra[0] == extra[1]
