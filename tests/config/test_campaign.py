"""Rules between settings, and the schema itself."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from activelora.config import AcquisitionConfig, AdapterConfig, CampaignConfig
from activelora.config.file import config_difference, config_digest, json_schema
from activelora.config.section import OpenSection
from activelora.errors import ProblemsError
from activelora.rules.checks import conflicts
from activelora.rules.file import checked_config, load_config
from activelora.rules.own_sections import full_schema

BASE = {
    "name": "mail",
    "task": {"prompt": "Mail: {text}\nTeam:", "labels": ["billing", "support"]},
    "data": {"pool": {"path": "pool.jsonl"}},
}


def config(**sections):
    return checked_config({**BASE, **sections}, where="campaign.yaml")


def problems(**sections):
    with pytest.raises(ProblemsError) as caught:
        config(**sections)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_fit_together():
    assert conflicts(config()) == []
    assert config().label_budget == 125
    assert config(stopping={"label_budget": 60}).label_budget == 60


@pytest.mark.parametrize("strategy", ["star", "bald", "variation_ratio", "variance"])
def test_strategies_that_compare_samples_need_samples_that_differ(strategy):
    said = problems(acquisition={"strategy": strategy}, adapter={"dropout": 0}, scoring={"num_samples": 1})
    assert len(said) == 2
    assert f"`adapter.dropout`: `{strategy}` compares Monte-Carlo samples, and without dropout" in said[0]
    assert "Set it above 0 (0.1 is usual)" in said[0]
    assert f"`scoring.num_samples`: `{strategy}` compares" in said[1]
    assert "Set it to 2 or more" in said[1]
    assert ("every item's score would be 0" in said[0]) == (strategy != "star")


@pytest.mark.parametrize(
    "egl",
    [{"strategy": "expected_gradient_length"}, {"strategy": "hybrid", "hybrid": {"then": "expected_gradient_length"}}],
)
def test_gradients_of_a_quantised_model(egl):
    exact = {**egl, "expected_gradient_length": {"gradient": "adapter"}}
    (said,) = problems(acquisition=exact, model={"quantization": "4bit"})
    assert "`acquisition.expected_gradient_length.gradient`: gradients of single items cannot be computed" in said
    assert "through a base model in 4bit" in said
    assert conflicts(config(acquisition=egl, model={"quantization": "4bit"})) == []
    assert conflicts(config(acquisition=exact)) == []


def test_gradients_of_another_adapter_method():
    chosen = config(acquisition={"strategy": "expected_gradient_length"})
    other = chosen.model_copy(update={"adapter": chosen.adapter.model_copy(update={"method": "other"})})
    assert [one.key for one in conflicts(other)] == ["acquisition.strategy"]
    assert conflicts(chosen) == []


def test_a_floor_for_classes_must_fit_into_the_batch():
    (said,) = problems(acquisition={"batch_size": 5, "per_class_floor": 3})
    assert "3 items of each of 2 classes are more than a batch of 5" in said
    assert conflicts(config(acquisition={"batch_size": 6, "per_class_floor": 3})) == []
    task = {"kind": "yes_no", "prompt": "{text}?"}
    (said,) = problems(task=task, acquisition={"batch_size": 5, "per_class_floor": 3})
    assert "2 classes" in said


def test_a_floor_for_classes_needs_classes():
    task = {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"}
    (said,) = problems(task=task, acquisition={"per_class_floor": 1})
    assert "a multiple_choice task has no classes that its items share" in said


def test_star_over_a_disagreement_measure_would_score_nothing():
    said = problems(acquisition={"strategy": "star", "measure": "bald"}, adapter={"dropout": 0})
    assert "every item's score would be 0" in said[0]


@pytest.mark.parametrize("method", ["ensemble", "blob", "laplace", "tfb"])
def test_samples_of_other_posteriors_need_no_dropout_and_take_no_masks(method):
    adapter = {"method": method, "dropout": 0}
    assert conflicts(config(acquisition={"strategy": "bald"}, adapter=adapter)) == []
    assert "`scoring.num_samples`" in problems(acquisition={"strategy": "bald"}, scoring={"num_samples": 1})[0]
    (said,) = problems(adapter=adapter, scoring={"mask": "token"})
    assert f"`token` masks belong to adapter.method `lora`, and it is `{method}`" in said


@pytest.mark.parametrize(
    "acquisition",
    [
        {"strategy": "hybrid", "hybrid": {"then": "batch_bald"}},
        {"strategy": "hybrid", "hybrid": {"prefilter": "bald", "then": "random"}},
        {"strategy": "hybrid", "hybrid": {"then": "density_weighted"}, "measure": "vote_entropy"},
        {"strategy": "density_weighted", "measure": "consensus_kl"},
        {"strategy": "batch_bald"},
    ],
)
def test_disagreement_is_found_wherever_a_strategy_reads_it(acquisition):
    said = problems(acquisition=acquisition, adapter={"dropout": 0})
    assert len(said) == 1
    assert f"`{acquisition['strategy']}` compares Monte-Carlo samples" in said[0]
    assert "every item's score would be 0" in said[0]


@pytest.mark.parametrize(
    "acquisition",
    [
        {"strategy": "hybrid", "measure": "bald"},
        {"strategy": "density_weighted", "hybrid": {"prefilter": "bald", "then": "batch_bald"}},
        {"strategy": "badge"},
        {"strategy": "core_set"},
    ],
)
def test_settings_that_no_strategy_reads_rule_nothing_out(acquisition):
    allowed = config(acquisition=acquisition, adapter={"dropout": 0}, scoring={"num_samples": 1})
    assert conflicts(allowed) == []


@pytest.mark.parametrize("strategy", ["random", "entropy", "least_confidence", "margin"])
def test_other_strategies_work_without_dropout(strategy):
    allowed = config(acquisition={"strategy": strategy}, adapter={"dropout": 0}, scoring={"num_samples": 1})
    assert conflicts(allowed) == []


def test_weight_masks_work_on_a_quantised_base():
    assert conflicts(config(model={"quantization": "4bit"}, scoring={"mask": "weight"})) == []


POOL = {"path": "pool.jsonl"}


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"stopping": {"label_budget": 24}},
            "`stopping.label_budget`: 24 labels are fewer than one batch of acquisition.batch_size 25. Raise the",
        ),
        (
            {"data": {"pool": {**POOL, "limit": 220}}},
            "`data.pool.limit`: 20 items are left in the pool, holdout and calibration split off: fewer than one",
        ),
        (
            {"data": {"pool": {**POOL, "limit": 100}, "calibration_size": 50}},
            "`data.pool.limit`: 0 items are left in the pool",
        ),
        (
            {"data": {"pool": {**POOL, "limit": 300}}, "stopping": {"label_budget": 101}},
            "`stopping.label_budget`: 101 labels cannot be asked for where 100 items are left in the pool",
        ),
        (
            {"data": {"pool": {**POOL, "limit": 10}, "holdout": {"path": "test.jsonl"}}},
            "`data.pool.limit`: 10 items are left in the pool: fewer than one batch of 25",
        ),
        (
            {"data": {"pool": POOL, "holdout": {"path": "test.jsonl", "limit": 50}, "calibration_size": 50}},
            "`data.holdout.limit`: 50 rows leave no holdout after data.calibration_size 50. Raise the limit",
        ),
        (
            {"data": {"pool": POOL, "columns": {"label": None}}},
            "`data.columns.label`: the holdout is measured against gold labels, and no column is named",
        ),
        (
            {"labeling": {"source": "files", "oracle_error_rate": 0.1}},
            "`labeling.oracle_error_rate`: it belongs to the `oracle` label source, and labeling.source is `files`",
        ),
        (
            {"labeling": {"source": "files", "oracle_confusion": [[1, 0], [0, 1]]}},
            "`labeling.oracle_confusion`: it belongs to the `oracle` label source, and labeling.source is `files`",
        ),
        (
            {"labeling": {"oracle_error_rate": 0.1, "oracle_confusion": [[1, 0], [0, 1]]}},
            "`labeling.oracle_confusion`: labeling.oracle_error_rate is given too",
        ),
        (
            {"labeling": {"oracle_confusion": {"billing": {"billing": 0.8, "support": 0.1}}}},
            "`labeling.oracle_confusion`: the probabilities of the answers to `billing` sum to 0.9, and must sum to 1",
        ),
        (
            {"labeling": {"oracle_confusion": [[1, 0], [0.1, 0.8]]}},
            "`labeling.oracle_confusion`: the probabilities of the answers to `support` sum to 0.9, and must sum to 1",
        ),
        (
            {"labeling": {"oracle_confusion": {"billing": {"suport": 1}}}},
            "`labeling.oracle_confusion`: `suport` is not a label of the task; it has: billing, support",
        ),
        (
            {"labeling": {"oracle_confusion": {"billing": {"billing": 0.5, "Billing": 0.5}}}},
            "`labeling.oracle_confusion`: `billing` is named twice",
        ),
        (
            {"labeling": {"oracle_confusion": [[1, 0, 0], [0, 1, 0]]}},
            "`labeling.oracle_confusion`: it has 2 rows of 3 probabilities, and the task's 2 labels need 2 rows of 2",
        ),
        (
            {"labeling": {"oracle_confusion": [[1, 0], [1.2, 0]]}},
            "`labeling.oracle_confusion.1.0` must be less than or equal to 1 (given: 1.2)",
        ),
        (
            {"labeling": {"oracle_confusion": {True: {"billing": 1}}}},
            "`labeling.oracle_confusion.1` must be text (given: True). Put it in quotes: YAML reads yes, no",
        ),
        (
            {
                "task": {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"},
                "labeling": {"oracle_confusion": [[1]]},
            },
            "`labeling.oracle_confusion`: a multiple_choice task has no fixed list of labels that could be confused",
        ),
        (
            {"training": {"batch_size": 4, "gradient_accumulation": 8}},
            "`training.gradient_accumulation`: a batch of 4 cannot be split into 8 passes",
        ),
        (
            {"stopping": {"plateau_rounds": 5}},
            "`stopping.plateau_rounds`: 5 rounds without a gain over an earlier one cannot be seen in 5",
        ),
        (
            {"stopping": {"plateau_gain": 0.01}},
            "`stopping.plateau_gain`: it says what counts as no gain, and stopping.plateau_rounds does not",
        ),
    ],
)
def test_settings_that_contradict_each_other(sections, said):
    found = problems(**sections)
    assert len(found) == 1
    assert found[0].startswith(f"campaign.yaml: {said}")


@pytest.mark.parametrize(
    "data",
    [
        {"pool": {**POOL, "limit": 225}},
        {"pool": {**POOL, "limit": 25}, "holdout": {"path": "test.jsonl"}},
        {"pool": POOL, "holdout": {"path": "test.jsonl", "limit": 51}, "calibration_size": 50},
    ],
)
def test_splits_that_just_fit(data):
    assert conflicts(config(data=data)) == []


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"labels": ["one"]}, "a classification task needs at least two `labels`"),
        ({"labels": ["a", "A "]}, "`labels` must be different and not empty"),
        ({"labels": ["a", " "]}, "`labels` must be different and not empty"),
        ({"labels": ["a", "b"], "answer_words": {"c": "x"}}, "`answer_words` names no label of the task: c"),
        ({"labels": ["a", "b"], "answer_words": {"yes": "x"}}, "`answer_words` names no label of the task: yes"),
        ({"labels": ["a", "b"], "answer": "letters", "answer_words": {"a": "x"}}, "are for label words, and class"),
        ({"labels": ["a", "b"], "prompt": "  "}, "`prompt` is empty"),
        ({"kind": "yes_no", "labels": ["a", "b"]}, "`labels` belong to classification and"),
        ({"kind": "yes_no", "answer": "letters"}, "a yes_no task answers by `words`"),
        ({"kind": "yes_no", "answer": "text"}, "a yes_no task answers by `words`"),
        ({"kind": "multi_label", "labels": ["a", "b"], "answer": "text"}, "a multi_label task answers by `words`"),
        ({"kind": "multiple_choice"}, "a multiple_choice task answers by `letters` or by `text`"),
    ],
)
def test_tasks_that_cannot_be(task, said):
    found = problems(task={"prompt": "{text}", **task})
    assert len(found) == 1
    assert found[0].startswith(("campaign.yaml: `task`", "campaign.yaml: `task."))
    assert said in found[0]


def test_tasks_that_can_be():
    for task in (
        {"kind": "yes_no", "prompt": "{text}?", "answer_words": {"yes": "Yes", "no": "No"}},
        {"kind": "multiple_choice", "prompt": "{question}", "answer": "text"},
        {"prompt": "{text}", "labels": ["password reset", "b"], "answer_words": {"password reset": "reset"}},
        {"prompt": "{text}", "labels": ["pin_change", "b"], "answer": "text", "answer_words": {"pin_change": "pin"}},
    ):
        assert config(task=task).task.prompt == task["prompt"]


def test_a_configuration_is_frozen():
    with pytest.raises(ValidationError):
        config().seed = 1


@pytest.mark.parametrize(
    "changed",
    [
        {"resources": {"train": {"memory": "64Gi", "accelerator_type": "amd.com/gpu"}, "parallel_shards": 9}},
        {"tracking": {"enabled": False, "uri": "http://mlflow:5000"}},
        {"labeling": {"wait_minutes": 5, "poll_seconds": 1}},
    ],
)
def test_digest_leaves_out_what_cannot_change_a_result(changed):
    assert config_digest(config(**changed)) == config_digest(config())
    assert config_difference(config(), config(**changed)) == ""


@pytest.mark.parametrize(
    "setting",
    [
        "source",
        "min_fraction",
        "deadline_hours",
        "on_deadline",
        "inbox",
        "annotators_per_item",
        "adjudicators",
        "skipped",
    ],
)
def test_digest_keeps_what_decides_which_labels_count(setting):
    values = {"source": "files", "min_fraction": 0.5, "deadline_hours": 1.0, "on_deadline": "stop", "inbox": "x"}
    values |= {"annotators_per_item": 2, "adjudicators": ["eve"], "skipped": "return"}
    before = {"deadline_hours": 2.0}
    changed = config(labeling={**before, setting: values[setting]})
    assert config_digest(changed) != config_digest(config(labeling=before))


def test_digest_depends_on_the_settings_and_on_nothing_else():
    assert config_digest(config()) == config_digest(config(seed=0, adapter={}))
    assert config_digest(config()) != config_digest(config(seed=1))
    assert config_digest(CampaignConfig.model_validate(config().model_dump(mode="json"))) == config_digest(config())


def test_differences_are_named():
    assert config_difference(config(), config(seed=3)) == "seed: 0 there, 3 asked"
    many = config_difference(config(), config(seed=3, adapter={"rank": 4, "alpha": 1.0, "dropout": 0.2}))
    assert many.endswith(" and 1 more")


def sections(model):
    yield model
    for field in model.model_fields.values():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from sections(kind)


def test_every_setting_is_documented_and_every_section_closed():
    for model in sections(CampaignConfig):
        assert model.__doc__
        is_open = issubclass(model, OpenSection)
        assert model.model_config["extra"] == ("allow" if is_open else "forbid")
        assert not is_open or model in (AcquisitionConfig, AdapterConfig)
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no docstring"


def test_the_json_schema_describes_the_file():
    schema = json_schema(full_schema())
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["required"] == ["name", "task", "data"]
    assert set(schema["properties"]) == set(CampaignConfig.model_fields)
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False
        for name, setting in part["properties"].items():
            assert setting.get("description"), name
    assert schema["$defs"]["AcquisitionConfig"]["properties"]["batch_size"]["default"] == 25


READY = sorted((Path(__file__).parents[2] / "pipelines" / "campaigns").glob("*.yaml"))


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_ready_campaigns_are_valid_and_use_known_keys(path):
    known = json_schema()
    loaded = load_config(path)
    assert_known(loaded.model_dump(mode="json", exclude_unset=True), known, known["$defs"])


def assert_known(node, schema, definitions):
    """Check keys against the JSON schema as an editor would."""
    for option in (schema, *schema.get("anyOf", ())):
        if "$ref" in option:
            schema = definitions[option["$ref"].rsplit("/", 1)[1]]
    if isinstance(node, dict) and "properties" in schema:
        for key, value in node.items():
            assert key in schema["properties"]
            assert_known(value, schema["properties"][key], definitions)


def test_a_posterior_that_cannot_serve_a_task_is_refused():
    generation = {"kind": "generation", "prompt": "{text}"}
    regression = {"kind": "regression", "prompt": "{text}", "minimum": 1, "maximum": 5}
    star = {"measure": "token_entropy"}
    for method, task in (("ensemble", generation), ("laplace", generation), ("laplace", regression)):
        said = problems(task=task, adapter={"method": method}, acquisition=star)
        assert any(f"`{method}` does not serve a {task['kind']} task" in one for one in said)
    for method in ("lora", "blob", "tfb", "c_lora"):
        assert conflicts(config(task=generation, adapter={"method": method}, acquisition=star)) == []


def test_a_prior_chosen_by_held_out_labels_needs_two_of_them():
    one = {"batch_size": 1, "strategy": "bald"}
    (said,) = problems(adapter={"method": "laplace"}, acquisition=one)
    assert "`held_out` holds some labels out, and `acquisition.batch_size` is 1" in said
    for settings in ({"prior_precision": 100}, {"prior_from": "evidence"}):
        assert conflicts(config(adapter={"method": "laplace", "laplace": settings}, acquisition=one)) == []


def test_a_width_is_searched_for_in_a_range_and_samples_have_one():
    (said,) = problems(adapter={"method": "tfb", "tfb": {"narrowest": 0.1, "widest": 0.1}})
    assert "`adapter.tfb.narrowest`: 0.1 is not below `adapter.tfb.widest`, 0.1" in said
    (said,) = problems(acquisition={"strategy": "bald"}, adapter={"method": "tfb", "tfb": {"std": 0}})
    assert "with a width of 0 all samples are the same" in said
    for settings in ({"std": 0.1, "narrowest": 2}, {"std": 0.1, "widest": 0.001}, {}):
        assert conflicts(config(acquisition={"strategy": "bald"}, adapter={"method": "tfb", "tfb": settings})) == []


def test_the_variance_of_a_number_needs_no_second_sample():
    task = {"kind": "regression", "prompt": "{text}", "minimum": 1, "maximum": 5}
    acquisition = {"strategy": "uncertainty", "measure": "variance"}
    sections = {"task": task, "acquisition": acquisition, "adapter": {"dropout": 0}}
    assert conflicts(config(**sections, scoring={"num_samples": 1})) == []
    assert problems(**{**sections, "acquisition": {**acquisition, "measure": "epistemic_variance"}})


PAIR = {"annotators_per_item": 2}
EVE = {"adjudicators": ["eve"]}


@pytest.mark.parametrize(
    ("labeling", "key"),
    [
        ({"skipped": "adjudicate"}, "skipped"),
        ({**PAIR, "min_agreement": 0.8}, "min_agreement"),
        ({**EVE, "min_agreement": 0.8}, "min_agreement"),
        ({"adjudicators": ["eve", " eve "]}, "adjudicators"),
        ({"on_deadline": "extend"}, "on_deadline"),
        ({"on_deadline": "stop"}, "on_deadline"),
        ({"deadline_hours": 9, "deadline_extension_hours": 3}, "deadline_extension_hours"),
        ({"remind_hours": [2]}, "remind_hours"),
        ({"deadline_hours": 9, "remind_hours": [2, 9]}, "remind_hours"),
    ],
)
def test_rules_of_the_wait_that_contradict_each_other(labeling, key):
    [said] = problems(labeling=labeling)
    assert f"`labeling.{key}`: " in said


@pytest.mark.parametrize(
    "labeling",
    [
        {**PAIR, **EVE, "min_agreement": 0.8, "skipped": "adjudicate"},
        {**EVE, "skipped": "return"},
        {"on_deadline": "wait"},
        {"deadline_hours": 9, "on_deadline": "extend", "deadline_extension_hours": 3, "remind_hours": [2, 1]},
    ],
)
def test_rules_of_the_wait_that_go_together(labeling):
    assert conflicts(config(labeling=labeling)) == []


def test_when_to_remind_may_be_changed_while_the_campaign_runs():
    before, after = ({"deadline_hours": 9, "remind_hours": hours} for hours in ([2], [4, 1]))
    assert config_digest(config(labeling=before)) == config_digest(config(labeling=after))
