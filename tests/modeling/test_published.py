"""Base models in an object store: a real S3 server, and the tiny model."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading

import pytest

from activelora.campaign.store import open_store
from activelora.config import ModelConfig
from activelora.errors import ModelError, StoreError
from activelora.modeling import published
from activelora.modeling.base import is_local, load_base, load_tokenizer
from activelora.modeling.locating import fetched, folder_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_model_from_s3_is_the_model_that_was_published(tiny_model_path, s3_uri):
    import torch

    assert published.publish(tiny_model_path, s3_uri, "tiny") is True
    assert published.publish(tiny_model_path, s3_uri, "tiny") is False
    config = ModelConfig(base=s3_uri)
    assert not is_local(config)
    assert digests(published.fetch(s3_uri, tiny_model_path.parent / "fetched")) == digests(tiny_model_path)
    there, here = load_base(config), load_base(ModelConfig(base=str(tiny_model_path)))
    assert there.name == s3_uri
    assert is_local(config)
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(there.model(tokens).logits, here.model(tokens).logits)
    assert len(load_tokenizer(config)) == len(here.tokenizer)


@pytest.fixture
def place(tiny_model_path, tmp_path):
    """A published model in a folder."""
    published.publish(tiny_model_path, str(tmp_path / "place"), "tiny")
    return tmp_path / "place"


def test_only_safetensors_and_texts_are_published(tiny_model_path, tmp_path):
    folder = shutil.copytree(tiny_model_path, tmp_path / "model")
    for name in ("pytorch_model.bin", "own.py", "training_args.pt", "notes.pkl"):
        (folder / name).write_text("x")
    published.publish(folder, str(tmp_path / "place"), "tiny")
    found = published.find(str(tmp_path / "place"))
    assert {file.name for file in found.files} == {path.name for path in tiny_model_path.iterdir()}
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no safetensors"):
        published.publish(folder, str(tmp_path / "other"), "tiny")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["../config.json", "a/config.json", "own.py", "model.bin", ".hidden.json", ""])
def test_files_that_could_do_harm_are_refused(place, tmp_path, name):
    document = json.loads((place / "model.json").read_text())
    document["files"][0]["name"] = name
    (place / "model.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="is not the list of a published model"):
        published.fetch(str(place), tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_damaged_file_is_refused_and_nothing_is_left(place, tmp_path):
    (weights,) = place.glob("files/*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelError, match=r"model.safetensors is not there or not what"):
        published.fetch(str(place), tmp_path / "models" / "target")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_file_that_is_gone_and_a_place_without_a_model_are_named(place, tmp_path):
    shutil.rmtree(place / "files")
    with pytest.raises(ModelError, match="is not there"):
        published.fetch(str(place), tmp_path / "target")
    with pytest.raises(ModelError, match=r"no model is published here.*model push"):
        published.fetch(str(tmp_path / "empty"), tmp_path / "target")


def test_a_publisher_that_dies_leaves_no_model(tiny_model_path, tmp_path):
    """Its files may be there; the list of them is what counts."""
    store = open_store(str(tmp_path / "place"))
    store.write("files/" + "0" * 64 + "/config.json", b"{}")
    assert published.find(str(tmp_path / "place")) is None
    assert published.publish(tiny_model_path, str(tmp_path / "place"), "tiny")
    assert digests(published.fetch(str(tmp_path / "place"), tmp_path / "target")) == digests(tiny_model_path)


def test_pods_that_fetch_at_the_same_time_share_the_volume(place, tmp_path, tiny_model_path):
    target, problems = tmp_path / "models" / "target", []

    def fetch():
        try:
            published.fetch(str(place), target)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert digests(target) == digests(tiny_model_path)
    assert list(target.parent.iterdir()) == [target]


def test_the_cache_serves_a_hub_id_without_the_hub(tiny_model_path, s3_uri, monkeypatch):
    """There is no such model on the hub: it can only come from the cache."""
    monkeypatch.setenv(published.CACHE_VARIABLE, s3_uri)
    config = ModelConfig(base="somebody/tiny", revision="abc")
    published.publish(tiny_model_path, published.cached_model_uri(s3_uri, "somebody/tiny", "abc"), "somebody/tiny")
    assert load_base(config).name == "somebody/tiny"
    assert fetched(config).startswith(os.environ["ACTIVELORA_CACHE"])
    assert published.cached_model_uri(s3_uri, "somebody/tiny", "def") != published.cached_model_uri(
        s3_uri, "somebody/tiny", "abc"
    )


def test_the_built_in_model_comes_from_the_cache(tiny_model_path, tmp_path, s3_uri, monkeypatch):
    """Published where it could be converted; a pod has nothing but S3."""
    monkeypatch.setenv(published.CACHE_VARIABLE, s3_uri)
    built_in, second = tmp_path / "cache" / "models" / "smollm2-135m-instruct", tmp_path / "second"
    shutil.copytree(tiny_model_path, built_in)
    place = published.cached_model_uri(s3_uri, "smollm2-135m-instruct", None)
    published.publish(folder_of(ModelConfig()), place, "built in")
    monkeypatch.setenv("ACTIVELORA_CACHE", str(second))
    assert fetched(ModelConfig()) == str(second / "models" / "smollm2-135m-instruct")
    assert digests(second / "models" / "smollm2-135m-instruct") == digests(tiny_model_path)


def test_a_place_that_is_none_is_refused_before_anything():
    with pytest.raises(StoreError, match="is not an S3 place"):
        load_base(ModelConfig(base="s3://X/model"))
