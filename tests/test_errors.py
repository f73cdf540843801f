from activelora.errors import ActiveLoRAError, ConfigError, DataError, ProblemsError


def test_an_error_says_where_what_and_how_to_mend_it():
    assert str(DataError("is empty")) == "is empty"
    assert str(DataError("is empty", where="pool.csv:7")) == "pool.csv:7: is empty"
    assert str(DataError("is empty", where="pool.csv", remedy="Fill it.")) == "pool.csv: is empty. Fill it."
    assert str(DataError("Did you mean this?", remedy="Then say so.")) == "Did you mean this? Then say so."


def test_several_problems_are_one_error():
    first, second = ConfigError("one", where="a"), DataError("two", remedy="Mend.")
    both = ProblemsError([first, second])
    assert str(both) == "a: one\ntwo. Mend."
    assert both.problems == [first, second]
    assert isinstance(both, ActiveLoRAError)
