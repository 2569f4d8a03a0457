"""What the API is made of."""

from appliance.api.app import _Api


def test_what_pydantic_takes_is_left_out() -> None:
    """The method that says so is not public: another Litestar may have it under another name."""
    assert [type(one).__name__ for one in _Api([]).plugins if "Pydantic" in type(one).__name__] == []
