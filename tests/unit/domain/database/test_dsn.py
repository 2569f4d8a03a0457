"""DSNs: read as libpq reads them, and never shown with what is secret."""

import contextlib
import re
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from appliance.domain.database.dsn import Dsn, Endpoint

texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "parameters", "shown"),
    [
        ("postgresql://ada:p%40s%2Fs@db.example.org:5433/dash?sslmode=require",
         {"user": "ada", "password": "p@s/s", "host": "db.example.org", "port": "5433", "dbname": "dash",
          "sslmode": "require"},
         "postgresql://ada:********@db.example.org:5433/dash?sslmode=require"),
        ("postgres://a,[::1]:2/dash", {"host": "a,::1", "port": ",2", "dbname": "dash"},
         "postgresql://a:5432,[::1]:2/dash"),
        ("host=/tmp dbname=dash user=ada password='a b\\'c'",
         {"host": "/tmp", "dbname": "dash", "user": "ada", "password": "a b'c"},
         "postgresql://ada:********@/dash?host=/tmp"),
        ("postgresql:///dash", {"host": "/var/run/postgresql", "dbname": "dash"}, "postgresql:///dash"),
        ("postgresql://h/d?sslpassword=secret", {"host": "h", "dbname": "d", "sslpassword": "secret"},
         "postgresql://h/d?sslpassword=********"),
    ],
)  # fmt: skip
def test_what_is_read_and_what_is_shown(text: str, parameters: dict[str, str], shown: str) -> None:
    dsn = Dsn.parse(text)
    assert dsn.reveal() == parameters
    assert str(dsn) == shown
    assert repr(dsn) == f"Dsn('{shown}')"
    assert Dsn.parse(dsn.text()).reveal() == dsn.reveal() | ({"port": "5432,2"} if "[::1]" in text else {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("db.example.org", "expected a database such as 'postgresql://dash@db.example.org/dash' or"),
        ("mysql://hunter2@h/d", "expected a database such as"),
        ("postgresql://u:hunter2@x@h/d", "percent-encode what is not a letter or digit in user and password"),
        ("postgresql://u:hunter2/x@h/d", "percent-encode what is not a letter or digit in user and password"),
        ("postgresql://u:hunter2%zz@h/d", "a '%' is not followed by two hexadecimal digits"),
        ("postgresql://u:hunter2@a]x[/d", "an IPv6 address stands in brackets"),
        ("postgresql://u:hunter2@h:0/d", "expected a port between 1 and 65535"),
        ("postgresql://u:hunter2@h", "it names no database: write it as"),
        ("host=h dbname=d sslmod=require", "'sslmod' is no parameter of a connection: did you mean 'sslmode'?"),
        ("host=h dbname=d hunter2=1", "it has a parameter that no connection knows"),
        ("host=h dbname=d sslmode=hunter2", "expected sslmode to be one of disable, allow, prefer, require, verify-ca"),
        ("host=a,b,c port=1,2 dbname=d", "it names 3 hosts and 2 ports: one for each host, or one for all"),
        ("host=h dbname='d", "keywords are written name=value"),
    ],
)
def test_what_is_wrong_is_told_without_quoting_a_password(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        Dsn.parse(text)
    assert "hunter2" not in str(caught.value)


def test_each_host_has_its_port() -> None:
    found = Dsn.parse("postgresql://u@h:1,i:2,j/d").endpoints
    assert found == [Endpoint("h", 1), Endpoint("i", 2), Endpoint("j", 5432)]
    assert [one.port for one in Dsn.parse("host=a,b port=6 dbname=d").endpoints] == [6, 6]


@given(user=texts, password=texts, database=texts)
def test_urls_are_read_as_libpq_reads_them(user: str, password: str, database: str) -> None:
    url = f"postgresql://{quote(user, '')}:{quote(password, '')}@h:1/{quote(database, '')}?application_name=x"
    assert Dsn.parse(url).reveal() == conninfo_to_dict(url)


@given(st.dictionaries(st.sampled_from(["user", "password", "application_name", "options"]), texts))
def test_keywords_are_read_as_libpq_reads_them(given_parameters: dict[str, str]) -> None:
    text = make_conninfo("", host="h", dbname="d", **given_parameters)
    assert Dsn.parse(text).reveal() == conninfo_to_dict(text)


@given(st.text(st.sampled_from("postgresql:/@[],?=&%4 u'\\"), max_size=30))
def test_nothing_is_taken_that_libpq_refuses(rest: str) -> None:
    text = f"postgresql://{rest}"
    with contextlib.suppress(ValueError):
        parsed = Dsn.parse(text)
        try:
            expected = conninfo_to_dict(text)
        except psycopg.ProgrammingError as error:
            raise AssertionError(f"{text!r} was taken as {parsed.reveal()!r}: {error}") from error
        assert parsed.get("dbname") == expected.get("dbname")


@given(password=st.text("0123456789abcdef", min_size=8, max_size=20))
def test_a_password_stands_in_no_text_of_it(password: str) -> None:
    dsn = Dsn.parse(f"postgresql://ada:{password}@h/d")
    assert all(password not in text for text in (str(dsn), repr(dsn), f"{dsn}", f"{[dsn]!r}"))
    assert dsn.get("password") is None
    assert password in dsn.text()
