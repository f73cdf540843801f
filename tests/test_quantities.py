"""One of a thing is one, and any other number is several."""

import pytest

from activelora.pool.growth import Growth
from activelora.quantities import quantity


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 items are"), (1, "1 item is"), (2, "2 items are"), (12345, "12,345 items are")]
)
def test_the_noun_goes_with_the_number(number, said):
    assert quantity(number, "item is", "items are") == said
    assert quantity(number, "item") == said.rpartition(" ")[0]


def test_a_pool_of_one_item_is_told_so():
    (size, vanished, left_out) = Growth(1, 1, 1, 1, 1).sentences
    assert size.startswith("pool: 1 item, 1 of them new")
    assert vanished == "pool: 1 item stays that is in no file any more"
    assert left_out == "pool: 1 new item was left out by data.pool.limit"
