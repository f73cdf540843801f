from tests.modeling.conftest import adapted, base, encoder, items, task_config, tiny_tokenizer

__all__ = ["adapted", "base", "encoder", "items", "task_config", "tiny_tokenizer"]
