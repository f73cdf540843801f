"""Labels that may be one label are named with their rows; those that only look alike are left in peace."""

import pytest

from activelora.pool.label_spellings import spelling_hints


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"Yes": 12, "yes ": 3, "no": 9}, "`Yes` (12) and `yes ` (3) are read as one label"),
        ({"yes": 12, "ja": 3, "no": 9}, "`yes` (12) and `ja` (3) look like one label in two languages"),
        ({"Sí": 12, "SIM": 3}, "`Sí` (12) and `SIM` (3) look like one label in two languages"),
        ({"not spam": 12, "not_spam": 30}, "look like two spellings of one label"),
        ({"café": 12, "cafe": 30}, "look like two spellings of one label"),
        ({"complaint": 120, "complant": 2}, "`complaint` (120) and `complant` (2) look like a label and a misspelling"),
    ],
)
def test_labels_that_may_be_one_are_named(counts, said):
    (hint,) = spelling_hints(counts)
    assert said in hint


@pytest.mark.parametrize(
    "counts",
    [
        {"yes": 12, "no": 9},
        {"positive": 100, "negative": 2, "neutral": 50},
        {"relevant": 100, "irrelevant": 3},
        {"level 1": 100, "level 2": 3},
        {"complaint": 120, "complant": 90},
        {"ham": 100, "spam": 2},
        {"complaint": 120, "complant": 0},  # listed, and in no row
        {},
    ],
)
def test_different_labels_are_no_hint(counts):
    assert not list(spelling_hints(counts))


def test_many_pairs_are_cut_short_and_counted():
    counts = {name: 1 for number in range(9) for name in (f"label {number}", f"label_{number}")}
    *shown, rest = spelling_hints(counts)
    assert len(shown) == 5
    assert rest == "and 4 more labels that look like one"
