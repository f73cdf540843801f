"""K by strategy: what a file leaves out is filled in by what counts, and what it says holds."""

import pytest

from activelora.acquisition import registry
from activelora.config import CampaignConfig
from activelora.config.sample_numbers import (
    BY_MEASURE,
    MEASURES_OF_DISAGREEMENT,
    STRATEGIES_OF_DISAGREEMENT,
    with_samples,
)
from activelora.rules.file import load_config
from activelora.uncertainty.measures import facts_of, known_measures

BASE = {
    "name": "test",
    "task": {"prompt": "{text}", "labels": ["a", "b"]},
    "data": {"pool": {"path": "pool.jsonl"}},
}


def samples(acquisition, **sections):
    return CampaignConfig.model_validate({**BASE, "acquisition": acquisition, **sections}).scoring.num_samples


def test_the_names_are_those_that_declare_disagreement():
    assert {name for name in known_measures() if facts_of(name).compares_samples} == MEASURES_OF_DISAGREEMENT
    own = {module.STRATEGY.name: module.STRATEGY for module in registry._MODULES}
    assert {name for name, one in own.items() if "measure" in one.options} == BY_MEASURE
    fixed = {name for name, one in own.items() if any(facts_of(measure).compares_samples for measure in one.measures)}
    assert fixed <= STRATEGIES_OF_DISAGREEMENT
    assert STRATEGIES_OF_DISAGREEMENT - fixed <= {"epig"}


@pytest.mark.parametrize(
    ("acquisition", "number"),
    [
        ({}, 8),  # star by predictive entropy
        ({"strategy": "entropy"}, 8),
        ({"strategy": "badge", "measure": "bald"}, 8),  # which does not go by it
        ({"strategy": "bald"}, 32),
        ({"strategy": "batch_bald"}, 32),
        ({"measure": "bald"}, 32),
        ({"strategy": "uncertainty", "measure": "vote_entropy"}, 32),
        ({"strategy": "hybrid", "hybrid": {"then": "core_set"}}, 8),
        ({"strategy": "hybrid", "hybrid": {"prefilter": "consensus_kl"}}, 32),
        ({"strategy": "hybrid", "prefilter": "consensus_kl"}, 32),  # as 0.1 wrote it
        ({"strategy": "hybrid", "hybrid": {"then": "batch_bald"}}, 32),
        ({"strategy": "hybrid", "measure": "bald", "hybrid": {"then": "uncertainty"}}, 32),
    ],
)
def test_k_follows_what_counts(acquisition, number):
    assert samples(acquisition) == number
    assert samples(acquisition, scoring={"mask": "weight"}) == number
    assert samples(acquisition, scoring={"num_samples": 5}) == 5
    again = CampaignConfig.model_validate({**BASE, "acquisition": acquisition})
    assert CampaignConfig.model_validate_json(again.model_dump_json()) == again


def test_a_preset_s_number_and_sections_that_are_objects_hold():
    c_lora = {"method": "c_lora", "c_lora": {"preset": "paper_code"}}
    assert samples({"strategy": "bald"}, adapter=c_lora) == 10
    read = CampaignConfig.model_validate({**BASE, "acquisition": {"strategy": "bald"}, "scoring": {"num_samples": 4}})
    fields = {name: getattr(read, name) for name in type(read).model_fields}
    assert CampaignConfig(**fields).scoring.num_samples == 4
    plain = CampaignConfig.model_validate(BASE)
    fields = {name: getattr(plain, name) for name in type(plain).model_fields}
    fields["scoring"] = type(plain.scoring)()
    assert CampaignConfig(**{**fields, "acquisition": read.acquisition}).scoring.num_samples == 32


@pytest.mark.parametrize("document", [None, [], "text", {"acquisition": 3}, {"acquisition": {"strategy": ["bald"]}}])
def test_what_is_no_document_comes_back(document):
    assert with_samples(document) is document


def test_an_arm_of_a_grid_gets_its_own(tmp_path):
    file = tmp_path / "campaign.yaml"
    file.write_text(
        "name: test\ntask: {prompt: '{text}', labels: [a, b]}\ndata: {pool: {path: pool.jsonl}}\n"
        "acquisition: {strategy: entropy}\n"
    )
    assert load_config(file).scoring.num_samples == 8
    assert load_config(file, {"acquisition.strategy": "bald"}).scoring.num_samples == 32
