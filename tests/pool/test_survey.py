import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activelora.errors import ProblemsError
from tests.pool.conftest import CHOICE_TASK, TASK, jsonl, rows
from tests.pool.surveying import inspect_data, survey_data


def splits(survey):
    return survey.pool_ids, survey.holdout_ids, survey.calibration_ids


def write(folder, **files):
    for name, content in files.items():
        (folder / f"{name}.jsonl").write_bytes(jsonl(content))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.permutations(rows(20) + rows(5)), st.permutations(rows(9, 15)), st.booleans(), st.none() | st.just(12))
def test_ids_and_splits_do_not_depend_on_row_order(tmp_path, make_config, pool, holdout, is_given, limit):
    data = {"calibration_size": 3, "pool": {"path": "pool.jsonl", "limit": limit}}
    if is_given:
        data["holdout"] = {"path": "holdout.jsonl", "limit": 8}
    config = make_config(**data)
    write(tmp_path, pool=rows(20) + rows(5), holdout=rows(9, 15))
    expected = survey_data(config)
    write(tmp_path, pool=pool, holdout=holdout)
    survey = survey_data(config)
    assert splits(survey) == splits(expected)
    assert survey.num_duplicates == expected.num_duplicates
    for item_id in survey.pool:
        assert survey.pool.label(item_id) == expected.pool.label(item_id)


def test_pool_holdout_and_calibration_share_nothing(tmp_path, make_config):
    write(tmp_path, pool=rows(30), holdout=rows(30, 20))
    for data in ({"calibration_size": 5}, {"calibration_size": 5, "holdout": {"path": "holdout.jsonl"}}):
        survey = survey_data(make_config(**data))
        pool, holdout, calibration = splits(survey)
        assert len(pool | holdout | calibration) == len(pool) + len(holdout) + len(calibration)
        assert len(calibration) == 5


def test_a_pool_item_that_the_holdout_has_too_is_taken_out_and_counted(tmp_path, make_config):
    write(tmp_path, pool=rows(30), holdout=rows(30, 20))
    summary = inspect_data(make_config(holdout={"path": "holdout.jsonl"}, calibration_size=3))
    assert (summary.num_pool, summary.num_overlap) == (20, 10)
    assert (summary.num_holdout, summary.num_calibration) == (27, 3)


def test_the_splits_are_stratified(tmp_path, make_config):
    skewed = [row for row in rows(300) if row["label"] != "science" or int(row["text"].split()[-1]) % 30 == 2]
    write(tmp_path, pool=skewed)
    summary = inspect_data(make_config(holdout_size=21, calibration_size=63))
    assert summary.holdout_labels == {"sport": 10, "politics": 10, "science": 1}
    assert summary.num_pool == 210 - 21 - 63


def test_limits(tmp_path, make_config):
    write(tmp_path, pool=rows(60), holdout=rows(30, 50))
    config = make_config(pool={"path": "pool.jsonl", "limit": 17}, holdout={"path": "holdout.jsonl", "limit": 9})
    summary = inspect_data(config)
    assert (summary.num_pool, summary.num_holdout) == (17, 9)
    assert summary.num_left_out + summary.num_overlap == 43
    split = inspect_data(make_config(pool={"path": "pool.jsonl", "limit": 17}, calibration_size=2))
    assert (split.num_pool, split.num_holdout, split.num_calibration, split.num_left_out) == (11, 4, 2, 43)


def test_another_seed_draws_another_holdout(tmp_path, make_config):
    write(tmp_path, pool=rows(60))
    assert splits(survey_data(make_config(seed=1))) != splits(survey_data(make_config(seed=2)))
    assert splits(survey_data(make_config(seed=1))) == splits(survey_data(make_config(seed=1)))


def test_without_an_oracle_the_holdout_comes_from_the_labelled_rows(tmp_path, make_config):
    unlabeled = [{"text": f"unlabelled {n}"} for n in range(20)]
    write(tmp_path, pool=[*unlabeled, *rows(8)])
    survey = survey_data(make_config(source="files"))
    assert len(survey.pool_ids) == 24
    assert set(survey.labeled.labeled(survey.holdout_ids)) == survey.holdout_ids


def test_ignored_labels_are_never_read_where_a_holdout_is_given(tmp_path, make_config):
    contradictory = [{"text": "same", "label": "nonsense"}, {"text": "same", "label": 1}, {"text": "other"}]
    write(tmp_path, pool=contradictory, holdout=rows(9))
    survey = survey_data(make_config(source="files", holdout={"path": "holdout.jsonl"}, known_labels="ignore"))
    assert len(survey.pool_ids) == 2
    assert [survey.pool.label(item_id) for item_id in survey.pool] == [None, None]


def test_a_holdout_of_one_label_is_warned_about(tmp_path, make_config):
    write(tmp_path, pool=rows(9), holdout=[rows(1, 30)[0]])
    warnings = inspect_data(make_config(holdout={"path": "holdout.jsonl"})).warnings
    assert "same label" in warnings[0]
    assert "politics, science" in warnings[1]


def test_a_summary_of_multiple_choice(tmp_path, make_config):
    items = [{"question": f"q{n}", "choices": ["a", "b", "c"][: 2 + n % 2], "label": n % 2} for n in range(12)]
    write(tmp_path, pool=items)
    summary = inspect_data(make_config(CHOICE_TASK))
    assert summary.holdout_labels == {"0": 2, "1": 2}
    assert summary.sample.choices == ("a", "b")
    assert summary.longest_chars == len("q11") + 3


def test_real_data_with_duplicates_and_overlap(shared_data, make_config):
    labels = ["description", "entity", "abbreviation", "human", "number", "location"]
    config = make_config(
        {**TASK, "labels": labels},
        folder=str(shared_data / "trec6"),
        pool={"path": "train.jsonl"},
        holdout={"path": "test.jsonl"},
        columns={"id": "id"},
        label_numbers="zero_based",
    )
    summary = inspect_data(config)
    assert (summary.num_pool, summary.num_holdout) == (5371, 500)
    assert (summary.num_duplicates, summary.num_overlap) == (71, 10)
    assert summary.holdout_labels["abbreviation"] == 9


def test_real_multiple_choice_data(shared_data, make_config):
    config = make_config(
        CHOICE_TASK,
        folder=str(shared_data / "arc_easy"),
        pool={"path": "train.jsonl"},
        holdout={"path": "validation.jsonl"},
    )
    summary = inspect_data(config)
    assert summary.num_pool + summary.num_overlap + summary.num_duplicates == 2251
    assert set(summary.holdout_labels) <= {"0", "1", "2", "3", "4"}


def test_contradicting_rows_are_left_out_where_the_campaign_says_so(tmp_path, make_config):
    write(tmp_path, pool=[*rows(30), rows(1)[0] | {"label": "politics"}, rows(1)[0]], holdout=rows(9, 40))
    with pytest.raises(ProblemsError, match="the same item is labelled"):
        survey_data(make_config())
    for data in ({"contradictions": "drop"}, {"contradictions": "drop", "holdout": {"path": "holdout.jsonl"}}):
        survey = survey_data(make_config(**data))
        assert len(survey.pool) == len(set(survey.pool)) == 29
        assert survey.num_left_out == 0
        assert survey.warnings[0] == "data.pool: items left out because their rows carry different labels: 1"
        assert sum(map(len, splits(survey))) == 29 + 9 * ("holdout" in data)
        assert set.union(*map(set, splits(survey))) <= {*survey.pool, *survey.labeled}


LARGE_AND_SMALL = pytest.mark.parametrize("columnar_bytes", [0, 10**9])


def numbered(num_rows, start=0, first=0):
    """Return rows whose labels are numbers, counted from `first`."""
    return [{**row, "label": TASK["labels"].index(row["label"]) + first} for row in rows(num_rows, start)]


@LARGE_AND_SMALL
@pytest.mark.parametrize(("numbers", "first"), [("zero_based", 0), ("one_based", 1)])
@pytest.mark.parametrize("is_given", [False, True])
def test_numbers_are_the_labels_that_they_would_be_by_name(
    tmp_path, make_config, columnar_bytes, numbers, first, is_given
):
    data = {"holdout": {"path": "holdout.jsonl"}} if is_given else {}
    write(tmp_path, pool=rows(30), holdout=rows(9, 40))
    named = survey_data(make_config(**data), columnar_bytes)
    write(tmp_path, pool=numbered(30, first=first), holdout=numbered(9, 40, first))
    config = make_config(label_numbers=numbers, **data)
    found = survey_data(config, columnar_bytes)
    assert splits(found) == splits(named)
    for item_id in named.pool:
        assert found.pool.label(item_id) == named.pool.label(item_id)
    count = 10 + 3 * is_given
    assert inspect_data(config).label_numbers == {
        f"{number} = {name}": count for number, name in enumerate(TASK["labels"], first)
    }


@LARGE_AND_SMALL
def test_the_oracle_s_rows_without_a_label_are_left_out_and_counted(tmp_path, make_config, columnar_bytes):
    write(tmp_path, pool=rows(20))
    expected = survey_data(make_config())
    unlabeled = [{"text": f"unlabelled {number}", "label": label} for number, label in enumerate([-1, "", None, -1.0])]
    write(tmp_path, pool=[*rows(5), *unlabeled, *rows(15, 5)])
    found = survey_data(make_config(), columnar_bytes)
    assert splits(found) == splits(expected)
    assert found.warnings[0] == (
        "data.pool: rows left out because the oracle has no label to give for them: 4 "
        "(rows whose label is -1, which stands for no label: 2)"
    )
    assert (found.pool.num_rows, found.pool.readings.num_left_out) == (20, 4)


@LARGE_AND_SMALL
def test_for_people_a_row_with_minus_one_has_no_label_yet(tmp_path, make_config, columnar_bytes):
    write(tmp_path, pool=[*rows(9), *({"text": f"new {number}", "label": -1} for number in range(20))])
    survey = survey_data(make_config(source="files"), columnar_bytes)
    assert len(survey.pool) == 29
    assert len(survey.pool.labeled(survey.pool)) == 9
    assert survey.warnings[0] == "data.pool: rows whose label is -1, which stands for no label: 20"


def test_a_campaign_s_file_says_for_which_kinds_numbers_are_places(make_config):
    for task in (CHOICE_TASK, {"kind": "yes_no", "prompt": "{text}"}):
        with pytest.raises(ProblemsError, match=r"label_numbers`: a .* task reads numbers by its own rules"):
            make_config(task, label_numbers="zero_based")
