import pytest

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, ModelConfig, TaskConfig
from activelora.modeling import lora
from activelora.modeling.base import load_base, load_tokenizer
from activelora.modeling.encoding import Encoder

LABELS = ("description", "human", "number", "location")
TEXTS = [
    "How far is the moon from the earth ?",
    "Who wrote the play ?",
    "Where is the river ?",
    "What does the word mean ?",
    "How many",
    "Who was the first human on the moon , and where on the earth was the human from ?",
    "Where",
    "What is red , green and blue ?",
]
CHOICES = [("fire", "blue water", "the moon"), ("the river is far", "earth"), ("human", "the first human", "green")]


@pytest.fixture(scope="session")
def base(tiny_model_path):
    return load_base(ModelConfig(base=str(tiny_model_path)))


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_model_path):
    """The tiny model's tokenizer alone."""
    return load_tokenizer(ModelConfig(base=str(tiny_model_path)))


@pytest.fixture
def task_config():
    return TaskConfig(prompt="Question: {text}\nAnswer type:", labels=LABELS, chat_template="never")


@pytest.fixture
def encoder(base, task_config):
    return Encoder(base.tokenizer, task_config)


@pytest.fixture
def items():
    return [Item(f"item-{index}", {"text": text}) for index, text in enumerate(TEXTS)]


@pytest.fixture(params=[None, 2], ids=["all-layers", "last-2-layers"])
def adapted(request, base):
    """An adapter with B away from zero, as after training."""
    import torch

    config = AdapterConfig(rank=4, last_layers=request.param)
    model = lora.attach(base, config, seed=3)
    torch.manual_seed(5)
    for parameter in lora.b_parameters(model):
        parameter.data.normal_(0, 0.1)
    model.eval()
    with lora.attached(model):
        yield model


@pytest.fixture
def questions_of(base, task_config, items):
    """A task, its encoder and items, answered by one token, texts of differing numbers, or labels that begin alike."""

    def make(kind):
        if kind == "tokens":
            return task_config, Encoder(base.tokenizer, task_config), items[:5]
        if kind == "chain":
            labels = ("blue water", "blue fire", "the moon", "the moon is far", "river")
            task = TaskConfig(prompt="{text}\nAnswer:", labels=labels, answer="text", chat_template="never")
            return task, Encoder(base.tokenizer, task), items[:4]
        task = TaskConfig(
            kind="multiple_choice", prompt="Question: {text}\nAnswer:", answer="text", chat_template="never"
        )
        asked = [Item(f"item-{i}", {"text": "What is red ?"[: 6 + 3 * i]}, texts) for i, texts in enumerate(CHOICES)]
        return task, Encoder(base.tokenizer, task), asked

    return make
