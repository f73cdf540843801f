"""A real model behind the paths: the same numbers as predicting, however requests are batched."""

import json
import threading
from contextlib import ExitStack

import pytest
from starlette.testclient import TestClient

from activelora.errors import ModelError
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.review import Thresholds
from activelora.prediction.serving.app import Service, make_app
from activelora.prediction.serving.batching import Batcher, Wish
from activelora.prediction.serving.guard import Guard
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.measured import Measured
from activelora.prediction.serving.served import ServedModel
from activelora.prediction.serving.source import Source
from activelora.prediction.serving.watcher import Watcher
from activelora.prediction.sources import open_bundle
from components.evaluate_adapter import step as evaluate_adapter
from tests.components.test_evaluate_adapter import write_adapter
from tests.prediction.conftest import KINDS, evaluated, rows_of


def close(one, other):
    """Tell whether two answers are the same, to 1e-5."""
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, abs=1e-5)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == other


def asked(kind, num):
    return [{key: value for key, value in row.items() if key != "gold"} for row in rows_of(kind, num, seed=9)]


@pytest.fixture
def client_of():
    with ExitStack() as held:

        def make(campaign, **options):
            served = ServedModel(open_bundle(campaign.store.uri, 1), **options)
            held.callback(served.close)
            batcher = Batcher(served, Limits(), measured := Measured())
            held.callback(batcher.close)
            service = Service(batcher, Limits(), measured, Guard(None, is_local=False))
            client = held.enter_context(TestClient(make_app(service)))
            vars(client)["batcher"] = batcher
            return client

        yield make


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_predicting_alone_and_in_company(tmp_path, tiny_model_path, client_of, kind):
    campaign = evaluated(tmp_path, tiny_model_path, kind)
    rows = asked(kind, 6 if kind == "generation" else 24)
    with open_bundle(campaign.store.uri, 1) as bundle, LoadedModel.load(bundle) as model:
        expected = model.predict(rows, probabilities=True)
    client = client_of(campaign)
    together = client.post("/predict", json={"rows": rows, "probabilities": True}).json()["answers"]
    alone = [client.post("/predict", json={"rows": [row], "probabilities": True}).json()["answers"][0] for row in rows]
    for answer, other, one in zip(together, alone, expected, strict=True):
        assert close(answer, other), (answer, other)
        for key in ("label", "probability", "uncertainty", "prediction_set", "review", "probabilities"):
            assert close(answer[key], getattr(one, key)), key
        assert close(answer.get("low"), one.low)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    texts = {name: [v if isinstance(v, str) else json.dumps(v) for v in own] for name, own in columns.items()}
    inputs = [{"name": n, "datatype": "BYTES", "shape": [len(rows)], "data": own} for n, own in texts.items()]
    said = client.post(f"/v2/models/{campaign.config.name}/infer", json={"inputs": inputs}).json()
    outputs = {one["name"]: one["data"] for one in said["outputs"]}
    labels = [answer["label"] for answer in together]
    written = [label if isinstance(label, str | float) else json.dumps(label) for label in labels]
    assert close(outputs["label"], written)
    metadata = client.get(f"/v2/models/{campaign.config.name}").json()
    assert {one["name"]: one["datatype"] for one in said["outputs"]}.items() <= {
        one["name"]: one["datatype"] for one in metadata["outputs"]
    }.items()
    if together[0]["probability"] is not None:
        assert close(outputs["probability"], [answer["probability"] for answer in together])


def test_many_clients_at_once_get_their_own_answers(classified, client_of):
    client = client_of(classified)
    rows = asked("classification", 40)
    alone = [client.post("/predict", json={"rows": [row]}).json()["answers"][0] for row in rows]
    found = [None] * len(rows)

    def ask(number):
        found[number] = vars(client)["batcher"].ask([rows[number]], Wish()).result(30).answers[0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(rows))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(map(close, found, alone))
    batches = client.get("/metrics").text
    (count,) = [line for line in batches.splitlines() if line.startswith("activelora_serve_batch_rows_count")]
    assert float(count.split()[1]) < 2 * len(rows)  # some were answered together


def test_a_request_may_ask_for_other_thresholds_than_the_server(classified, client_of):
    client = client_of(classified, thresholds=Thresholds(min_confidence=1.0))
    rows = asked("classification", 3)
    (answers,) = {tuple(one["review"] for one in client.post("/predict", json={"rows": rows}).json()["answers"])}
    assert answers == (True, True, True)
    lenient = client.post("/predict", json={"rows": rows, "min_confidence": 0.0}).json()["answers"]
    assert [one["review"] for one in lenient] == [False] * 3


@pytest.mark.parametrize("text", ["", "   ", None, ["a"], {"a": 1}, "\ud800", "a\x00b"])
def test_a_text_that_is_none_is_said_with_its_column(classified, client_of, text):
    content = json.dumps({"rows": [{"text": "fine"}, {"text": text}]})
    answer = client_of(classified).post("/predict", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("row:2: ")
    assert "text" in answer.json()["error"]


def test_a_model_tells_what_it_is(classified, client_of):
    about = client_of(classified, name="tickets").post("/predict", json={"rows": []}).json()["model"]
    assert (about["name"], about["version"], about["round"], about["kind"]) == ("tickets", "1", 1, "classification")
    assert len(about["digest"]) == 64


def test_of_a_campaign_the_champion_is_looked_for(tmp_path, tiny_model_path):
    campaign = evaluated(tmp_path, tiny_model_path, "classification", evaluation={"gates": {"min_accuracy": 1.0}})
    source = Source(campaign.store.uri)
    assert source.can_change
    with pytest.raises(ModelError, match=r"no round has passed its gates.*round 1: accuracy.*--round N"):
        source.newest()
    fixed = Source(campaign.store.uri, 1)
    assert (fixed.can_change, fixed.newest()) == (False, "1")
    with fixed.open(fixed.newest()) as bundle:
        assert bundle.round == 1


def test_an_alias_of_the_registry_is_looked_up():
    versions = iter(["models:/tickets/3", "models:/tickets/4"])
    source = Source("models:/tickets@champion", fetch=lambda uri, folder: folder, resolve=lambda uri: next(versions))
    assert source.can_change
    assert [source.newest(), source.newest()] == ["models:/tickets/3", "models:/tickets/4"]
    assert not Source("models:/tickets/3", fetch=lambda uri, folder: folder, resolve=next).can_change


def test_a_campaigns_new_champion_takes_over_while_clients_ask(tmp_path, tiny_model_path):
    campaign = evaluated(
        tmp_path, tiny_model_path, "classification", evaluation={"gates": {"improve_on_champion": False}}
    )
    source = Source(campaign.store.uri)
    measured = Measured()
    batcher = Batcher(ServedModel(source.open("1")), Limits(), measured)
    watcher = Watcher(source.newest, lambda found: ServedModel(source.open(found)), batcher, "1", 0.0, measured)
    ends, seen = threading.Event(), []
    row = asked("classification", 1)[0]

    def client():
        while not ends.is_set():
            reply = batcher.ask([row], Wish()).result(30)
            seen.append((reply.about["round"], reply.answers[0]["probability"]))

    thread = threading.Thread(target=client)
    thread.start()
    try:
        assert watcher.look() is False
        write_adapter(campaign, 2, 6, tmp_path / "campaign")
        evaluate_adapter.run(campaign, 2)
        assert watcher.look() is True
        until = len(seen) + 2
        while len(seen) < until:
            assert thread.is_alive()
    finally:
        ends.set()
        thread.join()
        batcher.close()
        batcher.served.close()
    rounds = [round_ for round_, _ in seen]
    assert rounds == sorted(rounds)
    assert set(rounds) == {1, 2}
    for round_ in (1, 2):
        with open_bundle(campaign.store.uri, round_) as bundle, LoadedModel.load(bundle) as model:
            (expected,) = model.predict([row])
        own = [probability for number, probability in seen if number == round_]
        assert all(probability == pytest.approx(expected.probability, abs=1e-5) for probability in own)
