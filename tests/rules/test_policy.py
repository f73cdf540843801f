"""Policies: an organisation's rules, in its own words."""

import pytest
import yaml

from activelora.errors import ProblemsError
from activelora.rules.file import load_config

WORDS = "Ask the platform team."


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Return a function that gives what a campaign breaks of a policy with one rule."""
    monkeypatch.delenv("ACTIVELORA_POLICY", raising=False)
    path = tmp_path / "campaign.yaml"

    def broken(rule, file="policy.yaml", **sections):
        document = {
            "name": "mail",
            "task": {"prompt": "{text}", "labels": ["a", "b"]},
            "data": {"pool": {"path": "pool.jsonl"}},
            **sections,
        }
        path.write_text(yaml.safe_dump(document))
        (tmp_path / file).write_text(yaml.safe_dump({"title": "ACME", "rules": [{"words": WORDS, **rule}]}))
        try:
            load_config(path)
        except ProblemsError as error:
            return [str(one) for one in error.problems]
        return []

    return broken


RULES = [
    ({"setting": "model.base", "allowed": ["smollm2*"]}, {}, True),
    ({"setting": "model.base", "allowed": ["s3://models/*"]}, {}, False),
    ({"setting": "model.base", "forbidden": ["*135m*"]}, {}, False),
    ({"setting": "model.revision", "required": True}, {}, False),
    ({"setting": "model.revision", "required": True}, {"model": {"base": "a/b", "revision": "abc"}}, True),
    ({"setting": "label_budget", "at_most": 100}, {"stopping": {"max_rounds": 5}}, False),
    ({"setting": "label_budget", "at_most": 100}, {"stopping": {"max_rounds": 4}}, True),
    ({"setting": "evaluation.gates.min_accuracy", "at_least": 0.8}, {}, False),
    (
        {"setting": "evaluation.gates.min_accuracy", "at_least": 0.8},
        {"evaluation": {"gates": {"min_accuracy": 0.7}}},
        False,
    ),
    (
        {"setting": "evaluation.gates.min_accuracy", "at_least": 0.8},
        {"evaluation": {"gates": {"min_accuracy": 0.8}}},
        True,
    ),
    ({"setting": "labeling.withhold", "required": True}, {}, False),
    ({"setting": "tracking.enabled", "allowed": ["true"]}, {}, True),
    ({"setting": "tracking.enabled", "allowed": ["true"]}, {"tracking": {"enabled": False}}, False),
    ({"setting": "acquisition.of_another_package.x", "forbidden": ["1"]}, {}, True),
]


@pytest.mark.parametrize(("rule", "sections", "holds"), RULES)
def test_a_rule_holds_or_is_told_in_its_own_words(broken, rule, sections, holds):
    said = broken(rule, **sections)
    assert len(said) == (not holds)
    assert holds or (WORDS in said[0] and "Policy: ACME (" in said[0])


def test_a_policy_of_the_environment_is_for_all_campaigns(broken, tmp_path, monkeypatch):
    rule = {"setting": "model.base", "allowed": ["x"]}
    assert broken(rule, "all.yaml") == []
    monkeypatch.setenv("ACTIVELORA_POLICY", str(tmp_path / "all.yaml"))
    assert WORDS in broken(rule, "all.yaml")[0]
    monkeypatch.setenv("ACTIVELORA_POLICY", str(tmp_path / "policy.yaml"))
    assert len(broken(rule)) == 1  # the same file by two ways
    monkeypatch.setenv("ACTIVELORA_POLICY", str(tmp_path / "gone.yaml"))
    assert "there is no such policy file" in broken({"setting": "seed", "at_least": 0})[0]


def test_a_policy_beside_an_extended_file_holds(broken, tmp_path):
    (tmp_path / "org").mkdir()
    (tmp_path / "org/defaults.yaml").write_text("seed: 1\n")
    rule = {"setting": "seed", "forbidden": ["1"]}
    said = broken(rule, "org/policy.yaml", extends="org/defaults.yaml")
    assert f"{tmp_path}/org/defaults.yaml: `seed`: must not be 1" in said[0]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"setting": "model.bas", "required": True}, "the policy has a rule for `model.bas`, which is no setting"),
        ({"setting": "seed", "atleast": 1}, "`rules.0.atleast` is not a setting"),
        ({"setting": "seed", "words": ""}, "rules.0.words"),
        ({"at_least": 1}, "`rules.0.setting` is missing"),
    ],
)
def test_a_policy_that_is_none(broken, rule, words):
    said = broken(rule)
    assert len(said) == 1
    assert words in said[0]
    assert "policy.yaml" in said[0]


def test_a_rule_that_is_broken_does_not_hide_other_problems(broken):
    said = broken({"setting": "seed", "at_least": 3}, acquisition={"strategy": "starr"})
    assert len(said) == 2
