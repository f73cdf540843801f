"""The JSON schema that editors get."""

from activelora.acquisition.registry import STRATEGIES
from activelora.config.file import json_schema
from activelora.rules.own_sections import full_schema
from activelora.rules.schema import editor_schema, names_of_settings
from activelora.uncertainty.measures import known_measures
from tests.other_packages import declare_package, said_by


def offered(schema, section, name):
    options = schema["$defs"][section]["properties"][name]["anyOf"]
    assert {"type": "string"} in options  # a package to come may bring another one
    return set(options[0]["enum"])


def test_names_are_completed():
    schema = editor_schema()
    assert offered(schema, "AcquisitionConfig", "strategy") == set(STRATEGIES)
    assert offered(schema, "AcquisitionConfig", "measure") == set(known_measures())
    assert {"oracle", "files", "llm"} <= offered(schema, "LabelingConfig", "source")
    assert {"lora", "laplace"} <= offered(schema, "AdapterConfig", "method")
    assert {"yes_no", "regression"} <= offered(schema, "TaskConfig", "kind")
    assert all(names_of_settings().values())


def test_names_of_installed_packages_are_among_them(tmp_path):
    module = "from activelora.acquisition.random import STRATEGY\nfrom dataclasses import replace\n"
    (tmp_path / "theirs.py").write_text(module + 'PART = replace(STRATEGY, name="of_theirs")\n')
    declare_package(tmp_path, "theirs", {"strategies": ["of_theirs = theirs:PART", "broken = nowhere:PART"]})
    program = (
        "import json; from activelora.rules.schema import editor_schema\n"
        'print(json.dumps(editor_schema()["$defs"]["AcquisitionConfig"]["properties"]["strategy"]["anyOf"][0]["enum"]))'
    )
    assert {"of_theirs", "random"} <= set(said_by(program, tmp_path))


def test_a_file_that_extends_another_need_not_say_everything():
    plain, schema = json_schema(full_schema()), editor_schema()
    assert schema["if"] == {"not": {"required": ["extends"]}}
    assert schema["then"]["required"] == plain["required"]
    assert schema["then"]["properties"] == {"task": {"required": ["prompt"]}, "data": {"required": ["pool"]}}
    assert set(schema["properties"]) - set(plain["properties"]) == {"extends"}
