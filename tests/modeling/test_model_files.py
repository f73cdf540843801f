"""Files of a model that are damaged, of another format, or describe none: told in words, never by a traceback."""

from __future__ import annotations

import json
import shutil
import struct

import pytest

from activelora.config import ModelConfig
from activelora.errors import ModelError
from activelora.modeling.base import check_stored, load_base, load_skeleton, load_tokenizer
from tests.modeling.checkpoints import change_config, sharded, write_checkpoint


@pytest.fixture
def llama(tmp_path):
    return write_checkpoint(tmp_path / "llama", "llama", tie_word_embeddings=False, num_hidden_layers=4)


def cut(folder):
    file = folder / "model.safetensors"
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 100)


def longer(folder):
    with (folder / "model.safetensors").open("ab") as opened:
        opened.write(b"x")


def write(name, content):
    def change(folder):
        (folder / name).write_bytes(content)

    return change


def pickled(name="pytorch_model.bin"):
    def change(folder):
        import torch
        from safetensors.torch import load_file

        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / name)

    return change


def lost_part(folder):
    sharded(folder)
    sorted(folder.glob("model-*.safetensors"))[0].unlink()


def strange_index(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../etc/passwd"}}))


def nothing(folder):
    (folder / "model.safetensors").unlink()


def adapter_only(folder):
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def another_name(folder):
    (folder / "model.safetensors").rename(folder / "weights.safetensors")


def header_of(entry):
    content = json.dumps({"x": entry}).encode()
    return struct.pack("<Q", len(content)) + content + bytes(8)


DAMAGED = {
    "cut off": (cut, r"model\.safetensors: is cut off: \d+ of \d+ bytes"),
    "longer": (
        longer,
        r"has more than its header says: \d+ of \d+ bytes",
    ),
    "empty": (write("model.safetensors", b""), "is not a whole safetensors file: it is empty"),
    "text": (write("model.safetensors", b"<html>not found</html>" * 9), "is not a whole safetensors file"),
    "a header that is no JSON": (
        write("model.safetensors", struct.pack("<Q", 4) + b"abcdefgh"),
        "its header cannot be read",
    ),
    "a header of other bytes": (
        write("model.safetensors", header_of({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]})),
        "its header cannot be read",
    ),
    "a header without offsets": (
        write("model.safetensors", header_of({"dtype": "F32", "shape": [2]})),
        "its header cannot be read",
    ),
    "a list as header": (write("model.safetensors", struct.pack("<Q", 2) + b"[]"), "its header cannot be read"),
    "a pointer of Git LFS": (
        write("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "is a pointer of Git LFS.*git lfs pull",
    ),
    "pickled": (pickled(), r"weights \(safetensors\) are missing; pickled ones are there: pytorch_model\.bin"),
    "pickled under another name": (pickled("model.safetensors"), "holds pickled weights under the name of safetensors"),
    "a part lost": (lost_part, r"model-00001-of-\d+\.safetensors: .* missing: 1 of the \d+ files"),
    "an index that leads elsewhere": (strange_index, r"is not an index of safetensors"),
    "no weights": (nothing, r"model\.safetensors: the model's weights \(safetensors\) are missing"),
    "only GGUF": (
        lambda folder: (folder / "model.safetensors").rename(folder / "model-q4.gguf"),
        r"a GGUF file is there: model-q4\.gguf",
    ),
    "only an adapter": (adapter_only, "the folder holds an adapter of peft"),
    "another name": (another_name, r"there is weights\.safetensors.*Name the file model\.safetensors"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_told_in_words(llama, kind):
    spoil, said = DAMAGED[kind]
    spoil(llama)
    with pytest.raises(ModelError, match=said) as told:
        check_stored(ModelConfig(base=str(llama)))
    assert told.value.remedy


CONFIGS = {
    "no JSON": (b"{", r"config\.json is not JSON"),
    "no UTF-8": (b'{"model_type": "\xff"}', r"config\.json is not JSON"),
    "nested without end": (b"[" * 100_000, r"config\.json is not JSON"),
    "a list": (b"[]", r"config\.json holds list, not an object"),
    "no architecture": (b"{}", r"config\.json names no model_type"),
    "an unknown one": (b'{"model_type": "nobodys"}', r"the architecture `nobodys` is unknown to transformers \d"),
    "code of its own": (
        b'{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}',
        r"the architecture `own` comes as code with the model \(auto_map.*never run",
    ),
    "no language model": (b'{"model_type": "vit"}', r"`vit` is an architecture that cannot be adapted here"),
    "a text as number": (b'{"model_type": "llama", "hidden_size": "wide"}', r"cannot be loaded: .*hidden_size"),
    "weights named by a number": (
        b'{"model_type": "llama", "transformers_weights": 3}',
        "transformers_weights in config.json is 3, and must name a file",
    ),
    "weights of another folder": (
        b'{"model_type": "llama", "transformers_weights": "../x.safetensors"}',
        r"transformers_weights names '\.\./x\.safetensors', and must name a file of the folder",
    ),
    "layers without number": (b'{"model_type": "llama", "num_hidden_layers": 1000000000}', "no model has so many"),
    "quantised by a number": (b'{"model_type": "llama", "compression_config": 3}', "quantised by an unnamed method"),
    "quantised by a list": (
        b'{"model_type": "llama", "quantization_config": [1]}',
        r"quantization_config in config\.json is \[1\], and must be an object",
    ),
    "heads that do not divide": (
        b'{"model_type": "llama", "hidden_size": 32, "num_attention_heads": 3}',
        r"validator 'validate_architecture': ValueError: The hidden size \(32\) is not a multiple",
    ),
    "an unknown activation": (
        b'{"model_type": "llama", "hidden_act": "nope"}',
        r"cannot be loaded: config\.json: `nope` is unknown",
    ),
    "rotations that lack a factor": (
        b'{"model_type": "llama", "rope_scaling": {"rope_type": "yarn"}}',
        r"cannot be loaded: Missing required keys in `rope_parameters`",
    ),
    "heads of no width": (b'{"model_type": "llama", "num_attention_heads": 0}', r"cannot be loaded: "),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_configuration_that_describes_no_model_is_told_in_words(llama, kind):
    content, said = CONFIGS[kind]
    (llama / "config.json").write_bytes(content)
    for load in (check_stored, load_base):
        with pytest.raises(ModelError, match=said):
            load(ModelConfig(base=str(llama)))


def test_an_adapter_beside_the_model_is_refused(llama):
    """Loading would put it into the base model without a word."""
    (llama / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x/y"}))
    with pytest.raises(ModelError, match=r"an adapter of peft \(adapter_config\.json\)"):
        check_stored(ModelConfig(base=str(llama)))


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"model": {"type": "BPE"}}', b"\xff"])
def test_a_broken_tokenizer_is_told_in_words(tiny_model_path, tmp_path, content):
    folder = shutil.copytree(tiny_model_path, tmp_path / "model")
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelError, match="the tokenizer cannot be loaded"):
        load_tokenizer(ModelConfig(base=str(folder)))


@pytest.mark.parametrize("length", ["x", True, 0, -1, [512]])
def test_a_length_that_is_no_number_of_tokens_is_told_in_words(tiny_model_path, tmp_path, length):
    folder = shutil.copytree(tiny_model_path, tmp_path / "model")
    change_tokenizer(folder, model_max_length=length)
    with pytest.raises(ModelError, match=r"model_max_length in tokenizer_config\.json is .*, and must be a number"):
        load_tokenizer(ModelConfig(base=str(folder)))


@pytest.mark.parametrize("length", [1, 512, 1e30])
def test_lengths_that_are_written_into_tokenizers_are_fine(tiny_model_path, tmp_path, length):
    folder = shutil.copytree(tiny_model_path, tmp_path / "model")
    change_tokenizer(folder, model_max_length=length)
    assert load_tokenizer(ModelConfig(base=str(folder))).model_max_length == length


def change_tokenizer(folder, **settings):
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def test_the_form_of_outputs_is_not_the_configurations_to_say(tiny_model_path, tmp_path):
    """A model of it gives tuples, which nothing here reads, and keeps what nothing here needs."""
    import torch

    folder = shutil.copytree(tiny_model_path, tmp_path / "model")
    change_config(folder, return_dict=False, output_hidden_states=True, output_attentions=True)
    config = ModelConfig(base=str(folder))
    loaded = load_base(config).model
    ids = torch.tensor([[3, 4, 5]], device=loaded.device)
    found = loaded(input_ids=ids)
    expected = load_base(ModelConfig(base=str(tiny_model_path))).model(input_ids=ids)
    assert torch.equal(found.logits, expected.logits)
    assert found.hidden_states is None
    assert found.attentions is None
    assert load_skeleton(config).config.return_dict
