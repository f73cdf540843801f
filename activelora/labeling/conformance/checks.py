"""What every label source must do, as checks that its own tests run.

A package that brings a source by an entry point of the group ``activelora.label_sources`` tests it so::

    from activelora.labeling.conformance.bench import Bench
    from activelora.labeling.conformance.checks import CHECKS, checks_for

    BENCH = Bench(MySource(), {"source": "mine"}, give_an_answer, count_tasks, shown=what_people_see)

    @pytest.mark.parametrize("name", checks_for(BENCH))
    def test_it_conforms(name, tmp_path):
        CHECKS[name](BENCH, tmp_path)

A check makes a small campaign in the folder that it is given, and raises :class:`NonconformingError` with what is
wrong. One that the bench cannot serve raises :class:`unittest.SkipTest` with the reason, which pytest takes for a skip.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import SkipTest

from activelora.labeling.conformance.bench import Bench, essence, require
from activelora.labeling.conformance.elsewhere import other_process
from activelora.labeling.conformance.trial import LABELS, PRIVATE, Trial, open_part
from activelora.labeling.request import Request
from activelora.labeling.source import Source


def check_source(bench: Bench, folder: Path) -> list[str]:
    """Run all checks that fit a source, each in a folder of its own, and return the names of those that it passed.

    A warning tells which were skipped, and why.

    Raises:
        NonconformingError: The first one that fails.
    """
    passed = []
    for name in checks_for(bench):
        try:
            CHECKS[name](bench, folder / name)
            passed.append(name)
        except SkipTest as reason:
            warnings.warn(f"check {name} of `{bench.source.name}` is skipped: {reason}", stacklevel=2)
    return passed


def checks_for(bench: Bench) -> list[str]:
    """Return the names of the checks that fit a source. Those of what is shown need :attr:`.Bench.shown` to be run."""
    return [name for name, needs in _NEEDS.items() if needs <= (bench.can | _FOUND[bench.answer is not None])]


def speaks_the_protocol(bench: Bench, folder: Path) -> None:
    """Name, summary and instructions are lines of printable text."""
    require(isinstance(bench.source, Source), "it is no Source: see activelora.labeling.source")
    request = bench.begin(folder).request(0)
    bench.publish(request)
    texts = (bench.source.name, bench.source.summary, bench.source.instructions(request))
    require(bool(texts[0] and texts[1]), "name or summary is empty")
    require(all(isinstance(text, str) and text.isprintable() for text in texts), "a text is not one printable line")


def publishing_again_asks_nothing_again(bench: Bench, folder: Path) -> None:
    """Asked three times, people find each item once."""
    request = bench.begin(folder).request(0)
    for _ in range(3):
        bench.publish(request)
        _asked_once(bench, request)


def two_processes_ask_once(bench: Bench, folder: Path) -> None:
    """Two processes at the same moment ask once, and see the same answers."""
    trial = bench.begin(folder)
    request = trial.request(0)
    with other_process(bench, trial) as other:
        other.begin("publish")
        bench.publish(request)
        other.end()
        _asked_once(bench, request)
        if bench.answer is not None:
            bench.give(request, request.item_ids[1], LABELS[2])
        other.begin("collect")
        require(other.end() == essence(bench.collect(request)), "another process sees other answers")


def collecting_changes_nothing(bench: Bench, folder: Path) -> None:
    """Collecting is repeatable, and leaves the campaign's store as it is."""
    trial = bench.begin(folder)
    request = trial.request(0)
    bench.publish(request)
    if bench.answer is not None:
        bench.give(request, request.item_ids[0], LABELS[1])
    before = trial.contents(but=bench.cache)
    first = essence(bench.collect(request))
    require(essence(bench.collect(request)) == first, "the same answers, collected twice, differ")
    require(trial.contents(but=bench.cache) == before, "collect changed the campaign's store")


def all_answered(bench: Bench, folder: Path) -> None:
    """When all is answered, every item has its label, who gave it and when, in the order of the selection."""
    request = bench.begin(folder).request(0)
    bench.publish(request)
    if bench.answer is not None:
        for number, item_id in reversed(list(enumerate(request.item_ids))):
            bench.give(request, item_id, LABELS[number % 3])
    found = bench.collect(request)
    require([record["item_id"] for record in found.records] == request.item_ids, "records are not in order")
    for number, record in enumerate(found.records):
        require(record["round"] == 0 and bool(record["source"]), "a record lacks its round or source")
        if bench.answer is not None:
            require(record["label"] == number % 3, f"answer {LABELS[number % 3]} came back as {record['label']}")
            require(record["annotator"] == (bench.annotator or "ann"), f"annotator {record['annotator']}")


def nothing_is_answered(bench: Bench, folder: Path) -> None:
    """Before anybody answers, there is no label, and collecting ends at once; also before it was published."""
    request = bench.begin(folder).request(0)
    for _ in range(2):
        found = bench.collect(request)
        require(not found.records and not found.corrections, "labels came from nowhere")
        states = set(found.states.values())
        require(states <= {"waiting", "in_progress"}, f"states {sorted(states)}")
        bench.publish(request)


def some_are_answered(bench: Bench, folder: Path) -> None:
    """A partial result is a result; an answer given twice is one."""
    request = bench.begin(folder).request(0)
    bench.publish(request)
    wanted = request.item_ids[2]
    for _ in range(2):
        bench.give(request, wanted, LABELS[1])
        found = bench.collect(request)
        require([record["item_id"] for record in found.records] == [wanted], "other items than the answered one")
        require(found.count("waiting") + found.count("in_progress") == len(request.reasons) - 1, "states of the rest")
        bench.publish(request)


def an_item_is_skipped(bench: Bench, folder: Path) -> None:
    """A skipped item is skipped, and brings no label."""
    request = bench.begin(folder).request(0)
    bench.publish(request)
    bench.give(request, request.item_ids[0], None)
    found = bench.collect(request)
    require(found.states[request.item_ids[0]] == "skipped", f"its state is {found.states[request.item_ids[0]]}")
    require(not found.records, "it brought a label")


def a_label_is_invalid(bench: Bench, folder: Path) -> None:
    """A label outside the task is named with its reason, and costs only itself."""
    request = bench.begin(folder).request(0)
    bench.publish(request)
    bad, good = request.item_ids[:2]
    bench.give(request, bad, "no such label")
    bench.give(request, good, LABELS[0])
    found = bench.collect(request)
    require([found.states[bad], found.states[good]] == ["invalid", "labeled"], f"states {dict(found.states)}")
    require([one.item_id for one in found.rejected] == [bad], "it is not the one that is rejected")
    require(bool(found.rejected[0].reason), "no reason is given")


def a_mind_is_changed(bench: Bench, folder: Path) -> None:
    """An annotator's later answer replaces the earlier one."""
    request = bench.begin(folder).request(0)
    bench.publish(request)
    for label in (0, 1, 2):
        bench.give(request, request.item_ids[0], LABELS[label])
    found = bench.collect(request)
    require([record["label"] for record in found.records] == [2], f"{[one['label'] for one in found.records]} count")


def an_answer_is_late(bench: Bench, folder: Path) -> None:
    """An answer that comes after its round is taken by the next one, and says which round asked."""
    trial = bench.begin(folder)
    first = trial.request(0)
    bench.publish(first)
    bench.give(first, first.item_ids[0], LABELS[0])
    trial.close(0, bench.collect(first))
    bench.give(first, first.item_ids[1], LABELS[1])
    second = trial.request(1)
    bench.publish(second)
    found = bench.collect(second)
    late = [(record["item_id"], record["label"], record["round"]) for record in found.records]
    require(late == [(first.item_ids[1], 1, 0)], f"records {late}")
    require(not found.corrections, "an answer that was counted came as a correction")


def a_label_is_corrected(bench: Bench, folder: Path) -> None:
    """A new answer about a labelled item is a correction, once."""
    trial = bench.begin(folder)
    first = trial.request(0)
    bench.publish(first)
    bench.give(first, first.item_ids[0], LABELS[0])
    trial.close(0, bench.collect(first))
    second = trial.request(1)
    bench.publish(second)
    bench.give(first, first.item_ids[0], LABELS[2])
    found = bench.collect(second)
    new = [(record["item_id"], record["label"]) for record in found.corrections]
    require(new == [(first.item_ids[0], 2)] and not found.records, f"corrections {new}, {len(found.records)} records")
    trial.close(1, found)
    require(not bench.collect(trial.request(2)).corrections, "it comes again in the next round")


def several_answer_an_item(bench: Bench, folder: Path) -> None:
    """With two annotators an item, one answer is not enough, and both are recorded."""
    request = bench.begin(folder, annotators_per_item=2).request(0)
    bench.publish(request)
    wanted = request.item_ids[0]
    bench.give(request, wanted, LABELS[1], "ann")
    found = bench.collect(request)
    require(found.states[wanted] in ("in_progress", "waiting"), f"after one of two it is {found.states[wanted]}")
    bench.give(request, wanted, LABELS[1], "bob")
    found = bench.collect(request)
    require(sorted(one["annotator"] for one in found.records) == ["ann", "bob"], "not both annotators are recorded")


def an_item_is_unknown(bench: Bench, folder: Path) -> None:
    """An answer about an item that nobody asked for is rejected by name."""
    request = bench.begin(folder).request(0)
    bench.publish(request)
    bench.give(request, "0" * 16, LABELS[0])
    found = bench.collect(request)
    require(not found.records and [one.item_id for one in found.rejected] == ["0" * 16], "it was not rejected")


def only_what_may_be_seen_is_shown(bench: Bench, folder: Path) -> None:
    """Of an item people see what ``request.shown`` returns: ``labeling.withhold`` and ``labeling.redact`` hold."""
    _shows_what_is_asked(bench, bench.begin_private(folder))


def gold_questions_are_asked(bench: Bench, folder: Path) -> None:
    """People are asked all of ``request.asked``: gold questions are among these, and not in ``request.item_ids``."""
    _shows_what_is_asked(bench, bench.begin_private(folder, gold_questions=2))


_FOUND = {True: frozenset({"answers"}), False: frozenset({"itself"})}
_NEEDS: dict[str, frozenset[str]] = {
    "speaks_the_protocol": frozenset(),
    "publishing_again_asks_nothing_again": frozenset(),
    "two_processes_ask_once": frozenset(),
    "collecting_changes_nothing": frozenset(),
    "all_answered": frozenset(),
    "nothing_is_answered": frozenset({"answers"}),
    "some_are_answered": frozenset({"answers"}),
    "an_item_is_skipped": frozenset({"answers", "skip"}),
    "a_label_is_invalid": frozenset({"answers", "invalid"}),
    "a_mind_is_changed": frozenset({"answers", "change"}),
    "an_answer_is_late": frozenset({"answers", "late"}),
    "a_label_is_corrected": frozenset({"answers", "correct"}),
    "several_answer_an_item": frozenset({"answers", "overlap"}),
    "an_item_is_unknown": frozenset({"answers", "unknown"}),
    "only_what_may_be_seen_is_shown": frozenset({"answers"}),
    "gold_questions_are_asked": frozenset({"answers", "gold"}),
}
CHECKS: Mapping[str, Callable[[Bench, Path], None]] = {name: globals()[name] for name in _NEEDS}
"""All checks, by name."""


def _asked_once(bench: Bench, request: Request) -> None:
    if bench.num_questions is not None:
        found = bench.num_questions(request)
        require(found == len(request.reasons), f"{found} questions where {len(request.reasons)} items are asked for")


def _shows_what_is_asked(bench: Bench, trial: Trial) -> None:
    """Ask, and look at what people are shown of each question."""
    if bench.shown is None:
        raise SkipTest("the bench does not say what people are shown: give it `shown`")
    request = trial.request(0)
    bench.publish(request)
    shown = bench.shown(request)
    missing, others = set(request.asked) - set(shown), set(shown) - set(request.asked)
    num_asked = len(request.asked)
    require(not missing, f"{len(missing)} of {num_asked} questions were not shown: ask all of request.asked")
    require(not others, f"items were shown that nobody asks for: {', '.join(sorted(others))}")
    for item_id, content in shown.items():
        text = json.dumps(content, ensure_ascii=False, default=str)
        leaked = "people see what labeling.withhold or labeling.redact keeps from them; show request.shown(item)"
        require(PRIVATE not in text, f"{leaked}: {text}")
        require(open_part(request.items[item_id]) in text, f"the text of an item is not shown: {text}")
