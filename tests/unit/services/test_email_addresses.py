import pytest

from appliance.services.users import email_problems


@pytest.mark.parametrize("address", ["ada@example.org", " ada@example.org ", "ä@zürich.ch", "a+b@localhost"])
def test_what_may_be_an_address_is_taken(address: str) -> None:
    assert email_problems(address, "/email") == []


@pytest.mark.parametrize(
    "address", ["", "ada", "a@b@c", "a b@c.d", "x\0@y.z", "x@y\x7f.z", "<script>@x.y", "a@" + "b" * 190]
)
def test_what_cannot_be_one_is_refused(address: str) -> None:
    (problem,) = email_problems(address, "/email")
    assert problem.pointer == "/email"
