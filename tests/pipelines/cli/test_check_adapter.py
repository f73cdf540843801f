"""What ``check`` says of where adapters sit, for models of other families than Llama; it loads no weights."""

import pytest

from activelora.errors import ProblemsError
from pipelines.cli.checks import check_campaign
from tests.modeling.matrix import FAMILIES, tiny
from tests.pipelines.tiny import tiny_config


@pytest.fixture
def check(tmp_path, tiny_model_path, monkeypatch):
    """Check a campaign with a tiny model of a family, and return the facts that are told."""
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))

    def told(name, **adapter):
        from transformers import AutoTokenizer

        family = next(family for family in FAMILIES if family.name == name)
        tiny(family).save_pretrained(tmp_path / "model")
        AutoTokenizer.from_pretrained(tiny_model_path).save_pretrained(tmp_path / "model")
        config = tiny_config(tmp_path, tmp_path / "model", adapter={"rank": 2, **adapter})
        return dict(check_campaign(config).facts)

    return told


def test_experts_and_routers_are_named_in_one_line(check):
    words = check("deepseek_v3")["no adapter on"]
    assert words.startswith("routers (gate); fused experts (down_proj, gate_up_proj); layers named as the experts")


@pytest.mark.parametrize("name", ["gemma3", "gpt2", "gpt_neox", "opt", "phi", "gemma4_text"])
def test_nothing_is_missed_where_all_is_adapted(check, name):
    facts = check(name, last_layers=2)
    assert "no adapter on" not in facts
    assert "GiB in float32" in facts["memory"]


@pytest.mark.parametrize(
    ("name", "targets", "words"),
    [
        ("deepseek_v3", ["gate_proj"], r"adapter\.targets: gate_proj can carry no adapter here"),
        ("falcon_h1", ["out_proj"], r"adapter\.targets: out_proj can carry no adapter here"),
        ("gpt2", ["q_proj"], r"no linear layer named q_proj\. It has: c_attn, c_fc, c_proj"),
        ("hrm_text", "all-linear", r"HrmTextForCausalLM is an architecture that cannot be adapted here"),
    ],
)
def test_what_cannot_be_adapted_is_a_problem_in_words(check, name, targets, words):
    with pytest.raises(ProblemsError, match=words):
        check(name, targets=targets)
