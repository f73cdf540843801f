import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activelora.campaign.campaign import Campaign
from activelora.campaign.labels import label_snapshot, resolve
from activelora.campaign.manifest import Unit
from activelora.campaign.records import LABEL_SCHEMA
from activelora.errors import StoreError


def record(item, label, annotator="ann", at="2026-01-01T00:00:00.000+00:00", source="files", round_=0):
    return {
        "item_id": item,
        "label": label,
        "annotator": annotator,
        "source": source,
        "labeled_at": at,
        "round": round_,
    }


def test_every_item_has_one_label():
    snapshot = resolve([[record("b", 1), record("a", 0)], [record("c", 2)]])
    assert dict(snapshot.labels) == {"a": 0, "b": 1, "c": 2}
    assert list(snapshot.labels) == ["a", "b", "c"]
    assert snapshot.records.schema == LABEL_SCHEMA


def test_nothing_is_a_snapshot_too():
    assert (dict(resolve([]).labels), resolve([]).records.num_rows) == ({}, 0)
    assert resolve([]).digest == resolve([[], []]).digest


def test_a_later_round_replaces_what_it_corrects():
    first = [record("a", 0, "ann"), record("a", 0, "bob"), record("b", 0, "ann")]
    assert dict(resolve([first, [record("a", 1, "eve", at="2020-01-01T00:00:00Z")]]).labels) == {"a": 1, "b": 0}


def test_an_annotator_has_one_vote_the_latest():
    votes = [
        record("a", 0, "ann", at="2026-01-01T10:00:00+00:00"),
        record("a", 1, "ann", at="2026-01-01T10:00:00.500Z"),
        record("a", 2, "ann", at="2026-01-01T10:30:00+01:00"),  # half past nine
    ]
    for order in (votes, votes[::-1]):
        assert dict(resolve([order]).labels) == {"a": 1}
        assert resolve([order]).records.num_rows == 1


def test_the_majority_wins_and_ties_go_to_the_smallest_label():
    def decided(*labels):
        return resolve([[record("a", label, f"annotator {n}") for n, label in enumerate(labels)]]).labels["a"]

    assert decided(2, 1, 2) == 2
    assert decided(2, 1) == 1
    assert decided(3, 3, 0, 0, 2) == 0
    assert decided(4) == 4


def test_digest_depends_on_the_votes_and_not_on_times_or_order():
    votes = [record("a", 0, "ann"), record("a", 1, "bob"), record("b", 1, "ann")]
    digest = resolve([votes]).digest
    assert resolve([votes[::-1]]).digest == digest
    assert resolve([[{**vote, "labeled_at": "2027-01-01T00:00:00Z", "round": 3} for vote in votes]]).digest == digest
    for change in ({"label": 2}, {"annotator": "eve"}, {"source": "oracle"}, {"item_id": "c"}):
        assert resolve([[{**votes[0], **change}, *votes[1:]]]).digest != digest


@settings(deadline=None)
@given(
    st.lists(
        st.lists(
            st.builds(
                record,
                st.sampled_from("abc"),
                st.integers(0, 2),
                st.sampled_from(["ann", "bob", "eve"]),
                st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]),
            ),
            max_size=8,
        ),
        max_size=3,
    ),
    st.randoms(use_true_random=False),
)
def test_equal_digests_mean_equal_labels(rounds, random):
    snapshot = resolve(rounds)
    shuffled = resolve([random.sample(records, len(records)) for records in rounds])
    assert shuffled.digest == snapshot.digest
    assert shuffled.labels == snapshot.labels
    again = resolve([snapshot.records.to_pylist()])
    assert (again.digest, again.labels) == (snapshot.digest, snapshot.labels)


@pytest.fixture
def campaign(store_uri, make_config):
    campaign = Campaign.create(store_uri, make_config())
    for round_, records in enumerate([[record("a", 0), record("b", 1)], [record("a", 1, round_=1)]]):
        attempt = campaign.attempt(Unit("await_labels", round_))
        attempt.write_table("labels.parquet", pa.Table.from_pylist(records, schema=LABEL_SCHEMA))
        attempt.commit(metrics={"num_labeled": len(records)})
    return campaign


def test_a_round_sees_the_labels_of_earlier_rounds(campaign):
    assert [dict(label_snapshot(campaign, round_).labels) for round_ in range(3)] == [
        {},
        {"a": 0, "b": 1},
        {"a": 1, "b": 1},
    ]
    assert len({label_snapshot(campaign, round_).digest for round_ in range(3)}) == 3


def test_labels_that_are_not_there_yet_are_an_error(campaign):
    with pytest.raises(StoreError, match="await_labels round 2 is not done yet"):
        label_snapshot(campaign, 3)
