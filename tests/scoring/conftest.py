from tests.modeling.conftest import adapted, base, encoder, items, task_config

__all__ = ["adapted", "base", "encoder", "items", "task_config"]
