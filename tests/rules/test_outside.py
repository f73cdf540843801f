"""Names and places that MLflow and S3 refuse: what a file may hold, against what these systems say themselves."""

import posixpath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activelora.campaign.store import open_store
from activelora.config.outside_names import crooked, straightened, unfit_experiment, unfit_model
from activelora.errors import DataError, ProblemsError, StoreError
from activelora.pool.files import locate
from activelora.rules.file import checked_config

TASK = {"prompt": "{text}", "labels": ["a", "b"]}


def config_of(**sections):
    data = {"pool": {"path": "pool.jsonl"}, **sections.pop("data", {})}
    return checked_config({"name": "test", "task": TASK, "data": data, **sections}, where="test")


MLFLOW_NAMES = st.text(st.sampled_from("ab.-_/: '\t\n\x00é"), max_size=6) | st.sampled_from(["x" * 256, "x" * 257])


@settings(deadline=None)  # importing mlflow takes seconds
@given(MLFLOW_NAMES)
def test_what_the_rules_let_pass_mlflow_takes(name):
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_experiment_name, _validate_model_name

    for unfit, validate in ((unfit_model, _validate_model_name), (unfit_experiment, _validate_experiment_name)):
        try:
            validate(name)
        except MlflowException:
            assert unfit(name) is not None


@pytest.mark.parametrize(
    ("tracking", "said"),
    [
        ({"registered_model": "team/router"}, "`/` in its name. Write, for example, team-router"),
        ({"registered_model": "router:2"}, "`:` in its name. Write, for example, router-2"),
        ({"registered_model": ".."}, "could be a folder's. Leave it out"),
        ({"registered_model": ""}, "nothing but blanks"),
        ({"experiment": " "}, "nothing but blanks"),
        ({"experiment": "a\u200b"}, "cannot be seen"),
        ({"experiment": "x" * 257}, "longer than the 256"),
    ],
)
def test_a_name_that_mlflow_refuses_is_told_with_another_one(tracking, said):
    with pytest.raises(ProblemsError) as told:
        config_of(tracking=tracking)
    [key] = tracking
    assert f"tracking.{key}" in str(told.value)
    assert said in str(told.value)
    config_of(tracking={**tracking, "enabled": False})


@pytest.mark.parametrize(
    "tracking", [{"registered_model": "the router's model"}, {"registered_model": "main.team.router"}, {}]
)
def test_other_names_are_let_pass(tracking):
    config_of(tracking={**tracking, "experiment": "/Users/ann/router"})


SETTINGS = {
    "data.folder": lambda place: {"data": {"folder": place}},
    "data.pool.path": lambda place: {"data": {"pool": {"path": place}}},
    "data.holdout.path": lambda place: {"data": {"holdout": {"path": place}}},
    "labeling.inbox": lambda place: {"labeling": {"source": "files", "inbox": place}},
    "model.base": lambda place: {"model": {"base": place}},
    "resources.model_cache.uri": lambda place: {"resources": {"model_cache": {"uri": place}}},
}
CROOKED = {
    "s3://bucket//pool": "s3://bucket/pool",
    "s3://bucket/a//b": "s3://bucket/a/b",
    "s3://bucket/./a": "s3://bucket/a",
    "s3://bucket/a/../b": "s3://bucket/b",
    "s3://bucket/a/..": "s3://bucket/",
    "s3://bucket/a//": "s3://bucket/a",
}


@pytest.mark.parametrize("place", CROOKED)
@pytest.mark.parametrize("key", SETTINGS)
def test_a_place_in_s3_that_is_no_plain_one_is_told_with_the_plain_one(key, place):
    with pytest.raises(ProblemsError) as told:
        config_of(**SETTINGS[key](place))
    assert key in str(told.value)
    assert f"Write {CROOKED[place]}." in str(told.value)


@pytest.mark.parametrize(
    "place", ["s3://bucket", "s3://bucket/", "s3://bucket/a/b", "s3://bucket/a/", "s3://b.c/a..b/.x"]
)
def test_plain_places_are_let_pass(place):
    assert crooked(place) is None
    for key, section in SETTINGS.items():
        if key != "resources.model_cache.uri" or place != "s3://b.c/a..b/.x":
            config_of(**section(place))


@pytest.mark.parametrize("place", CROOKED)
def test_no_door_makes_another_place_of_it_in_silence(place):
    with pytest.raises(StoreError, match=r"S3 takes as a part of the name.*Write s3://bucket/"):
        open_store(place)
    with pytest.raises(DataError, match=r"S3 takes as a part of the name.*Write s3://bucket/"):
        locate(place, "/data")


def test_a_relative_path_does_not_climb_out_of_a_folder_in_s3():
    assert locate("pool.jsonl", "s3://bucket/data") == "s3://bucket/data/pool.jsonl"
    with pytest.raises(DataError, match=r"has `\.\./` in it.*Write s3://bucket/pool.jsonl"):
        locate("../pool.jsonl", "s3://bucket/data")


@given(st.lists(st.sampled_from(["a", "b", "", ".", "..", "..."]), max_size=5))
def test_the_plain_place_is_one(parts):
    plain = straightened("s3://bucket/" + "/".join(parts))
    assert crooked(plain) is None
    assert plain.removeprefix("s3://bucket") == posixpath.normpath("/" + "/".join(parts)).replace("//", "/")
