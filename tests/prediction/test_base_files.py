"""The base model that a model was written with, and the one that is here."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from activelora.errors import ModelError
from activelora.modeling import builtin
from activelora.modeling.base import load_base
from activelora.modeling.published import cached_model_uri, publish
from activelora.prediction.base_files import base_note, check_base
from activelora.prediction.bundle import read_bundle, write_bundle
from activelora.prediction.export import export
from activelora.prediction.loaded import LoadedModel
from activelora.tracking.mlflow_location import prepare_environment
from activelora.tracking.mlflow_model import write_model
from tests.prediction.conftest import evaluated

prepare_environment()
import mlflow  # noqa: E402
from mlflow.models import Model  # noqa: E402

ROWS = [{"text": "red"}, {"text": "water and fire"}]


@pytest.fixture(scope="module")
def original(tmp_path_factory, tiny_model_path):
    """A model whose base is a folder of its own, as it was written."""
    folder = tmp_path_factory.mktemp("original")
    shutil.copytree(tiny_model_path, folder / "base-model")
    campaign = evaluated(folder, folder / "base-model", "classification")
    return campaign, write_bundle(campaign, 1, folder / "bundle")


@pytest.fixture
def written(original, tmp_path):
    """The same, with a copy of the base that may be changed."""
    _, bundle = original
    shutil.copytree(bundle.config.model.base, tmp_path / "base-model")
    shutil.copytree(bundle.folder, tmp_path / "bundle")
    path = tmp_path / "bundle" / "bundle.json"
    path.write_text(path.read_text().replace(bundle.config.model.base, str(tmp_path / "base-model")))
    load_base.cache_clear()
    yield read_bundle(tmp_path / "bundle")
    load_base.cache_clear()


def change_weights(folder):
    """Change the weights in place: a model that loads, and answers otherwise."""
    tensors = load_file(folder / "model.safetensors")
    save_file({name: value * 1.5 for name, value in tensors.items()}, folder / "model.safetensors", {"format": "pt"})


def refuse(bundle):
    with pytest.raises(ModelError) as caught, LoadedModel.load(bundle):
        pass
    return caught.value


def test_each_file_that_answers_depend_on_is_noted(original):
    campaign, bundle = original
    note = bundle.provenance["base"]
    folder = bundle.config.model.base
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= note["files"].keys()
    for name, sha256 in note["files"].items():
        with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123
            assert hashlib.sha256(file.read()).hexdigest() == sha256
    assert len(note["sha256"]) == 64
    assert base_note(campaign.config) == {key: note[key] for key in ("sha256", "files")}


def test_changed_weights_are_refused_in_words(written, tmp_path):
    with LoadedModel.load(written) as model:
        assert len(model.predict(ROWS)) == 2
    noted = written.provenance["base"]["files"]["model.safetensors"]
    change_weights(tmp_path / "base-model")
    found = hashlib.sha256((tmp_path / "base-model" / "model.safetensors").read_bytes()).hexdigest()
    error = refuse(written)
    assert "`model.safetensors` is not the base model's file" in str(error)
    assert f"begins with {found[:12]}, not {noted[:12]}" in str(error)
    assert str(tmp_path / "base-model" / "model.safetensors") in str(error)
    assert "--with-base" in str(error)
    with pytest.raises(ModelError, match=r"`model\.safetensors` is not the base model's file"):
        export(written, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_changed_files_beside_the_weights_are_refused(written, tmp_path, name):
    path = tmp_path / "base-model" / name
    path.write_text(path.read_text() + "\n")
    assert f"`{name}` is not the base model's file" in str(refuse(written))


def test_what_answers_do_not_depend_on_may_change_come_and_go(written, tmp_path):
    folder = tmp_path / "base-model"
    (folder / "LICENSE.txt").write_text("other words")
    (folder / "results.json").write_text("{}")
    (folder / "generation_config.json").unlink(missing_ok=True)
    with LoadedModel.load(written) as model:
        assert len(model.predict(ROWS)) == 2


def test_weights_of_other_names_are_refused(written, tmp_path):
    folder = tmp_path / "base-model"
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    names = load_file(folder / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "`model-00001-of-00001.safetensors` is none of the base model's weights" in str(refuse(written))


@pytest.mark.parametrize("has_digest", [True, False])
def test_models_of_before_noted_no_files_and_load(written, tmp_path, has_digest):
    path = written.folder / "bundle.json"
    document = json.loads(path.read_text())
    del document["provenance"]["base"]["files"]
    if not has_digest:
        document["provenance"]["base"]["sha256"] = None
    path.write_text(json.dumps(document))
    change_weights(tmp_path / "base-model")
    with LoadedModel.load(read_bundle(written.folder)) as model:
        assert len(model.predict(ROWS)) == 2


def test_the_built_in_model_s_weights_are_compared_and_not_what_transformers_writes_beside_them(written, tmp_path):
    base = {**written.provenance["base"], "id": builtin.NAME}
    bundle = replace(written, provenance={**written.provenance, "base": base})
    path = tmp_path / "base-model" / "config.json"
    path.write_text(path.read_text() + "\n")
    check_base(bundle)
    change_weights(tmp_path / "base-model")
    with pytest.raises(ModelError, match=r"`model\.safetensors` is not"):
        check_base(bundle)


def test_a_model_with_its_base_needs_no_other_and_notices_a_change_of_it(written, tmp_path):
    done = export(written, tmp_path / "out", with_base=True)
    change_weights(tmp_path / "base-model")
    with LoadedModel.load(read_bundle(done.folder)) as model:
        assert len(model.predict(ROWS)) == 2
    change_weights(done.folder / "base")
    assert str(done.folder / "base" / "model.safetensors") in str(refuse(read_bundle(done.folder)))


def test_a_base_model_that_a_store_brings_is_compared_when_it_is_here(written, tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ACTIVELORA_MODEL_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    change_weights(tmp_path / "base-model")
    publish(tmp_path / "base-model", cached_model_uri(str(tmp_path / "store"), "someone/tiny", None), "someone/tiny")
    model = written.config.model.model_copy(update={"base": "someone/tiny"})
    away = replace(written, config=written.config.model_copy(update={"model": model}))
    assert "`model.safetensors` is not the base model's file" in str(refuse(away))


def test_mlflow_refuses_it_too(original, tmp_path):
    campaign, _ = original
    write_model(campaign, 1, tmp_path / "model", Model())
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"), suppress_warnings=True)
    assert len(model.predict(pd.DataFrame(ROWS))) == 2
    path = tmp_path / "model" / "artifacts" / "bundle" / "bundle.json"
    document = json.loads(path.read_text())
    document["provenance"]["base"]["files"]["model.safetensors"] = "0" * 64
    path.write_text(json.dumps(document))
    with pytest.raises(ModelError, match="not 000000000000"):
        mlflow.pyfunc.load_model(str(tmp_path / "model"), suppress_warnings=True)
