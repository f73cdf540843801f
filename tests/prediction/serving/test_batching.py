"""Rows that wait are answered together, in their order; what cannot wait is told so; a model is swapped unseen."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from activelora.prediction.serving.batching import Batcher, Wish
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.measured import Measured
from activelora.prediction.serving.refusal import RefusedError
from activelora.prediction.serving.watcher import Watcher
from tests.prediction.serving.stand_in import StandIn


def rows(*texts):
    return [{"text": text} for text in texts]


def labels(future):
    return [answer["label"] for answer in future.result(10).answers]


@pytest.fixture
def model():
    model = StandIn()
    yield model
    model.may_answer.set()


@pytest.fixture
def batcher_of(model):
    made = []

    def make(**limits):
        made.append(Batcher(model, Limits(**limits), Measured()))
        return made[-1]

    yield make
    model.may_answer.set()
    for one in made:
        one.close()


def begun(batcher, model):
    """Let the model be busy with one row, so that others gather."""
    model.may_answer.clear()
    first = batcher.ask(rows("first"), Wish())
    assert model.has_begun.wait(10)
    return first


def test_what_gathers_is_answered_together_in_its_order(batcher_of, model):
    batcher = batcher_of(batch_rows=4)
    first = begun(batcher, model)
    later = [batcher.ask(rows(*texts), Wish()) for texts in ("ab", "c", "de", "fghijk", "l")]
    model.may_answer.set()
    assert labels(first) == ["FIRST"]
    assert [labels(one) for one in later] == [["A", "B"], ["C"], ["D", "E"], list("FGHIJK"), ["L"]]
    assert model.batches == [
        [["first"]],
        [["a", "b"], ["c"]],  # with the next it would be five rows
        [["d", "e"]],
        [["f", "g", "h", "i", "j", "k"]],  # a request is never cut, and larger ones go alone
        [["l"]],
    ]


def test_clients_that_ask_again_are_answered_together_again(batcher_of, model):
    """Without a wait, a client that came late once would be answered alone, and the others without it, for ever."""
    batcher = batcher_of()
    model.seconds = 0.4

    def client(number):
        for turn in range(5):
            batcher.ask(rows(f"{number} {turn}"), Wish()).result(10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    sizes = [len(batch) for batch in model.batches]
    assert sum(sizes) == 40
    assert len(sizes) <= 8  # 10 in turns of one and seven, or of four and four


def test_one_client_never_waits_for_others(batcher_of, model):
    batcher = batcher_of()
    model.seconds = 0.1
    began = time.monotonic()
    for turn in range(5):
        batcher.ask(rows(str(turn)), Wish()).result(10)
    assert time.monotonic() - began < 0.75


def test_a_wrong_request_does_not_hurt_its_neighbours(batcher_of, model):
    batcher = batcher_of()
    begun(batcher, model)
    fine, empty, risky, crash, last = (
        batcher.ask(rows("a"), Wish()),
        batcher.ask(rows("b", ""), Wish()),
        batcher.ask(rows("c"), Wish(max_risk=0.1)),
        batcher.ask(rows("crash"), Wish()),
        batcher.ask(rows("d"), Wish(min_confidence=0.9)),
    )
    model.may_answer.set()
    assert labels(fine) == ["A"]
    with pytest.raises(RefusedError, match="row:2: the column `text` is empty"):
        empty.result(10)
    with pytest.raises(RefusedError, match="no thresholds for a risk"):
        risky.result(10)
    with pytest.raises(RuntimeError, match="crash"):
        crash.result(10)
    assert last.result(10).answers[0]["review"] is True
    assert batcher.is_alive


def test_too_many_rows_are_refused_and_come_later(batcher_of, model):
    batcher = batcher_of(queue_rows=3)
    begun(batcher, model)
    waiting = [batcher.ask(rows("a", "b"), Wish()), batcher.ask(rows("c"), Wish())]
    with pytest.raises(RefusedError, match="3 rows wait for the model already, of 3") as caught:
        batcher.ask(rows("d"), Wish())
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    assert waiting[0].cancel()  # whoever asked has gone: its room is free
    batcher.ask(rows("e"), Wish())
    model.may_answer.set()
    assert labels(waiting[1]) == ["C"]
    assert ["a", "b"] not in [one for batch in model.batches for one in batch]


def test_closing_answers_what_waits(batcher_of, model):
    batcher = batcher_of(batch_rows=1)
    begun(batcher, model)
    waiting = [batcher.ask(rows(text), Wish()) for text in "abc"]
    end = threading.Thread(target=batcher.close)
    end.start()
    refused = None
    while refused is None and end.is_alive():
        try:
            batcher.ask(rows("late"), Wish()).cancel()
        except RefusedError as error:
            refused = error
    assert str(refused) == "the server is stopping"
    model.may_answer.set()
    end.join(10)
    assert [labels(one) for one in waiting] == [["A"], ["B"], ["C"]]


def test_models_are_swapped_without_a_lost_request(batcher_of, model):
    """While clients ask without a pause, models follow each other; each answers whole requests, and is then closed."""
    batcher = batcher_of()
    models = [model]
    state = {"newest": "1"}

    def load(found):
        time.sleep(0.01)
        models.append(StandIn(found))
        return models[-1]

    watcher = Watcher(lambda: state["newest"], load, batcher, "1", 0.0, Measured())
    ends = threading.Event()

    def client(number):
        seen = []
        while not ends.is_set():
            reply = batcher.ask(rows(f"a{number}", "b"), Wish()).result(10)
            assert [answer["label"] for answer in reply.answers] == [f"A{number}", "B"]
            seen.append(int(reply.about["version"]))
        return seen

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(client, number) for number in range(8)]
        for version in range(2, 30):
            state["newest"] = str(version)
            assert watcher.look() is True
            assert models[-2].is_closed
            assert not models[-1].is_closed
        assert watcher.look() is False
        ends.set()
        seen = [one.result(10) for one in clients]
    assert len(models) == 29
    for own in seen:
        assert own == sorted(own)  # never an older one again
        assert own
    assert len({version for own in seen for version in own}) > 5


def test_what_fails_leaves_the_model_that_is_there(batcher_of, model, caplog):
    batcher = batcher_of()
    troubles = [OSError("no route"), OSError("no route"), None]

    def newest():
        trouble = troubles.pop(0)
        if trouble:
            raise trouble
        return "2"

    measured = Measured()
    watcher = Watcher(newest, StandIn, batcher, "1", 0.0, measured)
    with caplog.at_level("INFO"):
        assert [watcher.look(), watcher.look()] == [False, False]
        assert batcher.ask(rows("a"), Wish()).result(10).about["version"] == "1"
        assert watcher.look() is True
    assert caplog.text.count("the newest model cannot be served, and the one before is: no route") == 1  # said once
    assert "round 2 answers now, not 1" in caplog.text
    assert batcher.ask(rows("a"), Wish()).result(10).about["version"] == "2"
    lines = measured.text().decode().splitlines()
    assert "activelora_serve_poll_failures_total 2.0" in lines
    assert "activelora_serve_swaps_total 1.0" in lines
    assert 'activelora_serve_model_info{model="tiny",round="2",version="2"} 1.0' in lines


def test_a_watcher_looks_by_itself_until_it_is_closed(batcher_of, model):
    batcher = batcher_of()
    looked = threading.Event()

    def newest():
        looked.set()
        return "2"

    watcher = Watcher(newest, StandIn, batcher, "1", 0.01, Measured())
    assert looked.wait(10)
    watcher.close()
    assert batcher.ask(rows("a"), Wish()).result(10).about["version"] == "2"
