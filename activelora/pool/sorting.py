"""Items in the order of their ids, in tables of a given size, whatever order they come in.

So a refresh of the pool is the same whichever of its files came first. Only one table's texts are held at a time, and
one more of what waits; the rest lies in a temporary folder.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from activelora.campaign.records import Item
from activelora.pool.tables import item_table


def sorted_tables(items: Iterable[Item], ids: Sequence[str], size: int) -> Iterator[pa.Table]:
    """Yield tables of the wanted items in the order of their ids; of an item that comes again, the first counts.

    Args:
        items: Items in any order, others among them.
        ids: Ids of the wanted ones, in ascending order. All must come.
        size: Rows of a table; the last one may have fewer.

    Raises:
        KeyError: A wanted item did not come.
    """
    begins, left = list(ids[::size]), set(ids)
    with tempfile.TemporaryDirectory() as folder:
        waiting, num_waiting, num_parts = defaultdict[int, list[Item]](list), 0, 0
        for item in items:
            if item.item_id not in left:
                continue
            left.remove(item.item_id)
            waiting[bisect_right(begins, item.item_id) - 1].append(item)
            num_waiting += 1
            if num_waiting >= size and len(begins) > 1:
                for number, some in waiting.items():
                    pq.write_table(item_table(some), _folder(folder, number) / f"{num_parts:06d}.parquet")
                waiting.clear()
                num_waiting, num_parts = 0, num_parts + 1
        if left:
            raise KeyError(min(left))
        for number in range(len(begins)):
            parts = [pq.read_table(path) for path in sorted(_folder(folder, number).iterdir())]
            yield pa.concat_tables([*parts, item_table(waiting[number])]).sort_by("item_id").combine_chunks()


def _folder(folder: str, number: int) -> Path:
    path = Path(folder) / f"{number:05d}"
    path.mkdir(exist_ok=True)
    return path
