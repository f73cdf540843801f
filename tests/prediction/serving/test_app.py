"""What clients may send, what they get, and what they are told where they are wrong."""

import json
import re

import pytest

from activelora.prediction.serving.limits import Limits
from tests.prediction.serving.stand_in import StandIn

TOKEN = "0123456789abcdef-token"


def tensors(*texts, **more):
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)}], **more}


def test_rows_are_answered_in_the_simple_form(client_of):
    answer = client_of().post("/predict", json={"rows": [{"text": "a", "id": 7}, {"text": "b"}]})
    assert answer.status_code == 200
    assert answer.json() == {
        "answers": [
            {"label": "A", "probability": 0.75, "review": False},
            {"label": "B", "probability": 0.75, "review": False},
        ],
        "model": {"name": "tiny", "version": "1", "round": 1},
    }
    client = client_of()
    assert client.post("/predict", json={"rows": []}).json()["answers"] == []
    wanted = {"rows": [{"text": "a"}], "min_confidence": 0.9, "probabilities": True}
    (one,) = client.post("/predict", json=wanted).json()["answers"]
    assert (one["review"], one["probabilities"]) == (True, {"A": 1.0})


def test_rows_are_answered_by_the_open_inference_protocol(client_of):
    client = client_of()
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    server = client.get("/v2").json()
    assert (server["name"], server["extensions"]) == ("activelora", [])
    about = client.get("/v2/models/tiny").json()
    assert about["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert {one["name"]: one["datatype"] for one in about["outputs"]}["probability"] == "FP64"
    assert client.get("/v2/models/tiny/ready").json() == {"name": "tiny", "ready": True}
    assert client.get("/v2/models/tiny/versions/1/ready").status_code == 200
    for path in ("/v2/models/tiny/infer", "/v2/models/tiny/versions/1/infer"):
        said = client.post(path, json=tensors("a", "b", id="x7", parameters={"min_confidence": 0.8})).json()
        assert said == {
            "model_name": "tiny",
            "model_version": "1",
            "id": "x7",
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["A", "B"]},
                {"name": "probability", "datatype": "FP64", "shape": [2], "data": [0.75, 0.75]},
                {"name": "review", "datatype": "BOOL", "shape": [2], "data": [True, True]},
            ],
        }
    only = client.post("/v2/models/tiny/infer", json=tensors("a", outputs=[{"name": "label"}])).json()
    assert [one["name"] for one in only["outputs"]] == ["label"]
    nested = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2, 1], "data": [["a"], ["b"]]}]}
    assert client.post("/v2/models/tiny/infer", json=nested).json()["outputs"][0]["data"] == ["A", "B"]
    wanted = tensors("a", parameters={"probabilities": True})
    last = client.post("/v2/models/tiny/infer", json=wanted).json()["outputs"][-1]
    assert last == {"name": "probabilities", "datatype": "BYTES", "shape": [1], "data": ['{"A": 1.0}']}


WRONG = [
    ({"rows": [{"txt": "a"}]}, 400, "row:1: there is no column `text`; it has: `txt`"),
    ({"rows": [{"text": "a"}, {}]}, 400, "row:2: there is no column `text`; it has: none"),
    ({"rows": [{"text": "a"}, {"text": ""}]}, 400, "row:2: the column `text` is empty"),
    ({"rows": ["a"]}, 400, "row:1: is a text, expected an object of columns and values"),
    ({"rows": {"text": "a"}}, 400, "`rows` is an object, expected a list of objects"),
    ({"row": []}, 400, "the request has `row`, expected rows, min_confidence, max_risk, probabilities"),
    ({}, 400, "the request has no `rows`, expected a list of objects"),
    ([], 400, "the body is a list, expected an object"),
    ({"rows": [], "min_confidence": 1.5}, 400, "`min_confidence` is 1.5, expected a number from 0 to 1"),
    ({"rows": [], "min_confidence": True}, 400, "`min_confidence` is true, expected a number from 0 to 1"),
    ({"rows": [], "probabilities": "yes"}, 400, '`probabilities` is "yes", expected true or false'),
    ({"rows": [{"text": "a"}], "max_risk": 0.1}, 400, "the model's evaluation has no thresholds for a risk"),
    ({"rows": [{"text": "crash"}]}, 500, "the server could not answer: its log says why"),
]


@pytest.mark.parametrize(("document", "status", "problem"), WRONG)
def test_what_is_wrong_with_a_request_is_said(client_of, document, status, problem):
    answer = client_of().post("/predict", json=document)
    assert (answer.status_code, answer.json()) == (status, {"error": problem})


@pytest.mark.parametrize(("value", "words"), [("[" * 50_000 + "]" * 50_000, "too deep"), ("9" * 5_000, "4300 digits")])
def test_json_beyond_the_parsers_limits_is_refused_without_talk_of_python(client_of, value, words):
    body = f'{{"rows": [{{"text": {value}}}]}}'
    answer = client_of().post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert "recursion" not in answer.json()["error"]
    assert "sys." not in answer.json()["error"]


def tensor(**changes):
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"], **changes}]}


WRONG_TENSORS = [
    (tensor(name="txt"), "row:1: there is no column `text`; it has: `txt`"),
    (tensor(shape=[2]), "`text`: the data has 1 values, and the shape says 2"),
    (tensor(shape=[1, 2]), "`text`: the shape is [1, 2], expected [N] or [N, 1]"),
    (tensor(shape=[-1]), "`text`: the shape is [-1], expected a list with the number of rows"),
    (tensor(shape=None), "`text`: the shape is null"),
    (tensor(datatype="TEXT"), '`text`: the datatype is "TEXT", expected BYTES'),
    (tensor(datatype=["BYTES"]), '`text`: the datatype is ["BYTES"], expected BYTES'),
    (tensor(data=[1]), "`text`: value 0 is 1, which is not BYTES"),
    (tensor(data=[True], datatype="INT64"), "`text`: value 0 is true, which is not INT64"),
    (tensor(data="a"), "`text`: the data is a text, expected a list of 1 values"),
    (tensor(name=7), "`inputs[0].name` is 7, expected the name of a column"),
    ({"inputs": [7]}, "`inputs[0]` is a number, expected an object"),
    ({"inputs": []}, "`inputs` has no tensor"),
    ({"inputs": tensor()["inputs"] * 2}, "two tensors are named `text`"),
    ({"inputs": [*tensor()["inputs"], *tensor(name="b", shape=[2], data=["x", "y"])["inputs"]]}, "differ in their"),
    ({**tensor(), "outputs": [{"name": "labels"}]}, '`outputs` names "labels"; there are: label, probability'),
    ({**tensor(), "outputs": "label"}, "`outputs` is a text, expected a list"),
    ({**tensor(), "parameters": [1]}, "`parameters` is a list, expected an object"),
    ({**tensor(), "parameters": {"max_risk": 2}}, "`parameters.max_risk` is 2, expected a number from 0 to 1"),
    ({**tensor(), "id": 7}, "`id` is 7, expected a text"),
    ({**tensor(), "rows": []}, "the request has `rows`, expected id, parameters, inputs and outputs"),
]


@pytest.mark.parametrize(("document", "problem"), WRONG_TENSORS)
def test_what_is_wrong_with_a_tensor_is_said(client_of, document, problem):
    answer = client_of().post("/v2/models/tiny/infer", json=document)
    assert answer.status_code == 400
    assert problem in answer.json()["error"]


BODIES = [
    (b"{", "the body is no JSON: Expecting property name enclosed in double quotes, at line 1, column 2"),
    (b"\xff\xfe\xff", "the body is not UTF-8"),
    (b'{"rows": [{"text": NaN}]}', "NaN is no number in JSON"),
    (b"[" * 100_000, "the body is no JSON"),
    (b'{"rows": ' + b"9" * 5000 + b"}", "the body is no JSON"),
    (b"", "the body is no JSON: Expecting value, at line 1, column 1"),
]


@pytest.mark.parametrize(("body", "problem"), BODIES)
def test_a_body_that_is_no_json_is_refused(client_of, body, problem):
    answer = client_of().post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert problem in answer.json()["error"]


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_web_page_cannot_ask_unseen(client_of, kind):
    """What a page of anybody's may send without asking has one of these types, or none."""
    headers = {"Content-Type": kind} if kind else {}
    answer = client_of().post("/predict", content=b'{"rows": []}', headers=headers)
    assert answer.status_code == 415
    assert "expected application/json" in answer.json()["error"]


def test_what_is_too_large_is_refused(client_of):
    client = client_of(limits=Limits(request_rows=2, request_bytes=200))
    answer = client.post("/predict", json={"rows": [{"text": "a"}] * 3})
    assert answer.status_code == 413
    assert answer.json()["error"] == "the request has 3 rows, of 2 that one may have: send several"
    assert client.post("/v2/models/tiny/infer", json=tensors("a", "b", "c")).status_code == 413
    body = json.dumps({"rows": [{"text": "a" * 300}]}).encode()
    said = "the body is larger than 200 bytes: send fewer rows at a time"
    for content in (body, iter([body[:100], body[100:]])):  # with its length, and without
        answer = client.post("/predict", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (413, said)
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert client.post("/predict", content=b"x", headers=packed).status_code == 415
    binary = {"Content-Type": "application/json", "Inference-Header-Content-Length": "10"}
    assert "binary tensors are not taken" in client.post("/predict", content=b"x", headers=binary).json()["error"]


def test_other_paths_and_models_are_not_there(client_of):
    client = client_of()
    assert client.get("/nothing").json() == {"error": "GET /nothing: not found"}
    assert client.get("/predict").status_code == 405
    assert client.get("/v2/models/other").json()["error"] == "there is no model `other`; this server has `tiny`"
    gone = client.post("/v2/models/tiny/versions/7/infer", json=tensors("a"))
    assert (gone.status_code, gone.json()["error"]) == (404, "version 7 is not served; it is version 1 now")


@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer ", "Bearer é"]
)
@pytest.mark.parametrize(
    "path", ["/predict", "/metrics", "/v2", "/v2/models/tiny", "/openapi.json", "/docs", "/nothing"]
)
def test_without_the_token_nothing_is_said(client_of, given, path):
    headers = {} if given is None else {"Authorization": given.encode()}
    answer = client_of(token=TOKEN).get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "tiny" not in answer.text


def test_with_the_token_everything_is(client_of):
    client = client_of(token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.post("/predict", json={"rows": [{"text": "a"}]}, headers=headers).status_code == 200
    assert client.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
    assert client.get("/v2/health/live").status_code == 200  # probes show none


@pytest.mark.parametrize(("host", "status"), [("localhost:80", 200), ("[::1]:8080", 200), ("evil.example", 421)])
def test_without_a_token_only_names_of_this_machine_are_answered_to(client_of, host, status):
    assert client_of(is_local=True).get("/v2", headers={"Host": host}).status_code == status
    assert client_of(is_local=False).get("/v2", headers={"Host": host}).status_code == 200


def test_metrics_say_what_happened(client_of):
    client = client_of()
    client.post("/predict", json={"rows": [{"text": "a"}, {"text": "b"}], "min_confidence": 0.9})
    client.post("/predict", json={"rows": [{}]})
    client.get("/some/path/of/a/stranger")
    said = client.get("/metrics")
    assert said.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = said.text.splitlines()
    assert 'activelora_serve_requests_total{path="/predict",status="200"} 1.0' in lines
    assert 'activelora_serve_requests_total{path="/predict",status="400"} 1.0' in lines
    assert 'activelora_serve_requests_total{path="other",status="404"} 1.0' in lines
    assert "activelora_serve_rows_total 2.0" in lines
    assert "activelora_serve_review_rows_total 2.0" in lines
    assert 'activelora_serve_batch_rows_bucket{le="2.0"} 1.0' in lines
    assert not any("stranger" in line for line in lines)


def test_the_document_of_the_paths_names_the_columns(client_of):
    paths = client_of().get("/openapi.json").json()["paths"]
    body = paths["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == {"rows": [{"text": "..."}]}
    assert body["schema"]["properties"]["rows"]["items"]["required"] == ["text"]
    assert "/v2/models/{name}/infer" in paths


def test_the_page_of_the_paths_needs_no_network_and_shows_the_columns(client_of):
    reply = client_of().get("/docs")
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", reply.text), "nothing is loaded from elsewhere"
    assert "&quot;text&quot;: &quot;...&quot;" in reply.text
    for path in ("POST /predict", "POST /v2/models/{name}/infer", "GET /metrics", "GET /v2/health/ready"):
        assert f"<code>{path}</code>" in reply.text


def test_a_model_s_name_is_no_html(client_of):
    model = StandIn()
    model.about = {**model.about, "name": "<script>alert(1)</script>"}
    assert "<script>alert" not in client_of(model).get("/docs").text


def test_a_server_that_stops_is_not_ready_but_answers(client_of):
    client = client_of(StandIn())
    vars(client)["service"].is_stopping = True
    assert client.get("/v2/health/live").status_code == 200
    for path in ("/v2/health/ready", "/v2/models/tiny/ready"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Connection"]) == (503, "close")
    assert client.post("/predict", json={"rows": [{"text": "a"}]}).status_code == 200


def test_an_answer_that_takes_too_long_is_not_waited_for(client_of):
    model = StandIn()
    client = client_of(model, Limits(answer_seconds=0.2))
    model.may_answer.clear()
    answer = client.post("/predict", json={"rows": [{"text": "a"}]})
    model.may_answer.set()
    assert answer.status_code == 504
    assert "no answer within 0.2 seconds" in answer.json()["error"]
    assert client.post("/predict", json={"rows": [{"text": "b"}]}).status_code == 200


def test_too_many_requests_at_a_time_are_refused(client_of):
    client = client_of(limits=Limits(num_requests=3))
    vars(client)["service"].num_requests = 3
    answer = client.post("/predict", json={"rows": [{"text": "a"}]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    vars(client)["service"].num_requests = 2
    assert client.post("/predict", json={"rows": [{"text": "a"}]}).status_code == 200
    assert vars(client)["service"].num_requests == 2
