"""Gold questions: holdout items, whose labels are known, among those that annotators are asked for."""

from __future__ import annotations

from dataclasses import dataclass

from activelora.campaign.campaign import Campaign
from activelora.campaign.records import Item
from activelora.pool.access import holdout
from activelora.seeding import item_draw


@dataclass(frozen=True)
class GoldQuestion:
    """A question whose answer is known.

    Attributes:
        item: The holdout item.
        label: Its label.
        round: The last round that asks for it.
        again: Whether an earlier round asked for it too: then answers from before this round say nothing new.
    """

    item: Item
    label: int
    round: int
    again: bool = False


def gold_questions(campaign: Campaign, round_: int) -> dict[str, GoldQuestion]:
    """Return the gold questions of all rounds up to one, by item id.

    Each round asks for ``labeling.gold_questions`` others, in an order drawn once; when all have been asked for, it
    begins again.
    """
    num = campaign.config.labeling.gold_questions
    if num == 0:
        return {}
    items, labels_N = holdout(campaign)
    seed = campaign.seed("gold")
    order = sorted(range(len(items)), key=lambda index: (item_draw(seed, items[index].item_id), items[index].item_id))
    found: dict[str, GoldQuestion] = {}
    for number in range(num * (round_ + 1)):
        index = order[number % len(order)]
        item, asked_in = items[index], number // num
        before = found.get(item.item_id)
        again = before is not None and (before.again or before.round < asked_in)
        found[item.item_id] = GoldQuestion(item, int(labels_N[index]), asked_in, again)
    return found


def mixed(wanted: list[str], gold: list[str], seed: int) -> list[str]:
    """Return the items that annotators are asked for, in order: gold questions at drawn places among the others."""
    positions = {item_id: int(item_draw(seed, item_id) * len(wanted)) for item_id in gold}
    asked: list[str] = []
    for position, item_id in enumerate(wanted):
        asked += [*(one for one in gold if positions[one] == position), item_id]
    return asked
