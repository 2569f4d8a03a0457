"""Choosing a PostgreSQL in the wizard: looked at, told beside the field, and Dash goes on with it by itself."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.postgres import PostgresServer, postgres_server
from tests.running import RunningAppliance, free_port
from tests.ui.browsing import NARROW, WIDE, Opens, shoot


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL that answers on loopback and has a role with a password."""
    with postgres_server({"listen_addresses": "127.0.0.1", "port": str(free_port()), "fsync": "on"}) as server:
        server.put("pg_hba.conf", b"local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE ROLE ada LOGIN PASSWORD 'hunter2'")
            connection.execute("CREATE DATABASE works OWNER ada")
            connection.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[RunningAppliance]:
    running = RunningAppliance(tmp_path, environment={"DASH_EGRESS_ALLOW": "127.0.0.0/8"})
    running.start()
    yield running
    running.stop()


def dsn(server: PostgresServer, password: str = "hunter2") -> str:
    return f"postgresql://ada:{password}@127.0.0.1:{server.settings['port']}/works"


def choose(page: Page, text: str) -> None:
    page.get_by_text("In your PostgreSQL").click()
    page.fill("[name=dsn]", text)


def test_what_is_wrong_with_a_dsn_stands_beside_it(
    empty: RunningAppliance, server: PostgresServer, opened: Opens
) -> None:
    page = opened(empty.url, "/setup")
    page.get_by_text("In your PostgreSQL").click()
    expect(page.locator("[name=dsn]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#e-dsn")).to_have_text("Please fill this in.")
    for text, told in (
        ("db.example.org", "Expected a database such as"),
        (dsn(server, "hunter3"), "The password for 'ada' is wrong, or there is no such user"),
        ("postgresql://ada:hunter3@10.0.0.1/works", "10.0.0.1 is a private address"),
    ):
        page.fill("[name=dsn]", text)
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#e-dsn")).to_contain_text(told)
        expect(page.locator("#e-dsn")).not_to_contain_text("hunter3")
        expect(page.locator("[name=dsn]")).to_be_focused()
    shoot(page, "setup-database-wrong-light-1440")


def test_a_database_is_looked_at_and_dash_goes_on_with_it(
    empty: RunningAppliance, server: PostgresServer, opened: Opens
) -> None:
    for viewport, theme in ((WIDE, "dark"), (NARROW, "light"), (NARROW, "dark"), (WIDE, "light")):
        page = opened(empty.url, "/setup", viewport=viewport, theme=theme)
        choose(page, dsn(server))
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_text("PostgreSQL 1", exact=False).first).to_be_visible()
        expect(page.get_by_text("Make schema dash with")).to_be_visible()
        shoot(page, f"setup-database-{theme}-{viewport['width']}")
    pid = empty.pid
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_text("postgresql://ada:********@127.0.0.1")).to_be_visible(timeout=60_000)
    assert empty.pid == pid
    chosen = empty.data_dir / "chosen.toml"
    assert chosen.stat().st_mode & 0o777 == 0o600
    shoot(page, "setup-database-chosen-light-1440")
    page.get_by_role("button", name="Continue").click()
    page.fill("[name=admin_email]", "ada@example.org")
    page.fill("[name=admin_password]", "correct horse battery")
    page.press("[name=admin_password]", "Enter")
    page.fill("[name=organisation]", "Example Works")
    page.press("[name=organisation]", "Enter")
    page.get_by_text("Start empty").click()
    page.get_by_role("button", name="Set up Dash").click()
    page.wait_for_url("**/pipelines")
    with psycopg.connect(server.url("works")) as connection:
        assert connection.execute("SELECT name FROM dash.organisation").fetchall() == [("Example Works",)]
    assert "hunter2" not in empty.log.read_text()
