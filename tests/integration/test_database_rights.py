"""What a DBA is handed is run by psql on a real server, and Dash starts on it with no right more."""

import subprocess
from itertools import count
from pathlib import Path

import psycopg
import pytest

from appliance.compose import opened
from appliance.domain.clock import utc_now
from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.domain.database.findings import Need
from appliance.domain.database.rights import Plan, dba_sql
from appliance.errors import ConfigError
from appliance.services.organisation_views import NewOrganisation
from appliance.services.views import SetupRequest
from appliance.settings import Settings
from appliance.settings.sections import Database as SectionDatabase
from appliance.settings.sections import Server
from appliance.storage.control import schema
from appliance.storage.control.examination import examine
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow
from tests.licensed import RING, issued
from tests.postgres import PostgresServer, programs

NEED = Need(connections=5, max_lag_secs=10, head=schema.HEAD, known=schema.KNOWN)
WORD = "a long pass phrase"
numbers = count(1)


def run(server: PostgresServer, script: str) -> None:
    """Run ``script`` as a superuser would; any error in it fails."""
    command = [str(programs() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", server.url()]
    subprocess.run(command, input=script, text=True, check=True, capture_output=True, timeout=60)


def prepared(server: PostgresServer, **changes: object) -> Access:
    """Run the script for a plan of names that no other test has, twice; return how its user connects."""
    name = f"least_{next(numbers)}"
    plan = Plan(database=name, user=f"{name}_user", **changes)  # type: ignore[arg-type]
    run(server, dba_sql(plan))
    run(server, dba_sql(plan))
    return Access(dsn=Dsn.parse(server.url(name, plan.user)), schema=plan.schema)


def add_organisation(plane: ControlPlane) -> None:
    plane.write_now(lambda tx: tx.add(OrganisationRow(id="org_1", name="Example", created_at=utc_now())))


def owners(server: PostgresServer, access: Access) -> set[str]:
    asked = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = %s"
    with psycopg.connect(server.url(access.dsn.database)) as connection:
        return {name for (name,) in connection.execute(asked, [access.schema]).fetchall()}


def bad(access: Access) -> list[str]:
    return [one.message for one in examine(access, NEED).findings if one.state == "bad" and "fsync" not in one.message]


def test_a_role_that_may_make_schemas(postgres: PostgresServer) -> None:
    access = prepared(postgres)
    assert bad(access) == []
    plane = ControlPlane.open(access)
    add_organisation(plane)
    plane.close()
    assert owners(postgres, access) == {access.dsn.user}
    assert bad(access) == []


def test_everything_belongs_to_a_role_of_its_own(postgres: PostgresServer) -> None:
    access = prepared(postgres, owner="dash_owner", schema="dash_two")
    plane = ControlPlane.open(access)
    add_organisation(plane)
    plane.close()
    assert owners(postgres, access) == {"dash_owner"}
    assert bad(access) == []


def test_a_role_for_which_every_schema_was_made(postgres: PostgresServer) -> None:
    access = prepared(postgres, beforehand=True, organisations=("org_1",))
    plane = ControlPlane.open(access)
    add_organisation(plane)
    plane.close()
    assert bad(access) == []
    with psycopg.connect(str(access.dsn)) as connection:
        connection.execute("CREATE TABLE dash_org_1.t (n int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE SCHEMA dash_org_2")


def test_the_schema_of_an_organisation_that_is_missing_is_told(postgres: PostgresServer) -> None:
    access = prepared(postgres, beforehand=True)
    plane = ControlPlane.open(access)
    add_organisation(plane)
    plane.close()
    found = [one for one in examine(access, NEED).findings if one.message.startswith("the schemas of 1 organisations")]
    assert [one.remedy for one in found] == [f"CREATE SCHEMA dash_org_1 AUTHORIZATION {access.dsn.user};"]


async def test_another_organisation_is_there_before_its_schema_and_says_what_is_missing(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    access = prepared(postgres, beforehand=True)
    settings = Settings(server=Server(data_dir=tmp_path / "data"), database=SectionDatabase(url=access.dsn))
    async with opened(settings, ring=RING) as it:
        await it.engine.start([])
        changes, pipelines = it.services.organisation_changes, it.services.pipelines
        operator = (
            await it.services.setup.run(SetupRequest(admin_email="a@example.org", admin_password=WORD))
        ).principal
        await it.services.licenses.install(operator, issued())
        new = NewOrganisation(name="Rival", admin_email="eve@example.net", admin_password=WORD)
        made = await changes.create(operator, new)
        missing = f"CREATE SCHEMA dash_{made.id} AUTHORIZATION {access.dsn.user};"
        assert made.trouble is not None
        assert missing in made.trouble
        eve = (await it.services.sessions.sign_in("eve@example.net", WORD, None)).principal
        unsigned = {"name": "p", "source": {"type": "webhook", "signature": "none"}}
        with pytest.raises(ConfigError) as caught:
            await pipelines.create(eve, unsigned)
        assert missing in str(caught.value.problems[0].hint)
        with psycopg.connect(postgres.url(access.dsn.database), autocommit=True) as connection:
            connection.execute(missing.encode())
            pipeline = (await pipelines.create(eve, unsigned)).pipeline
            await pipelines.delete(eve, pipeline.id)
            await changes.delete(operator, made.id, "Rival")
            left = connection.execute("SELECT to_regnamespace(%s)", [f"dash_{made.id}"]).fetchone()
        assert left == (None,)


def test_the_remedy_for_a_missing_right_is_the_sql_that_gives_it(postgres: PostgresServer) -> None:
    access = prepared(postgres, beforehand=True)
    with psycopg.connect(postgres.url(access.dsn.database), autocommit=True) as connection:
        connection.execute("DROP SCHEMA dash")
        with pytest.raises(ConfigError) as caught:
            ControlPlane.open(access)
        problem = caught.value.problems[0]
        assert problem.message == (
            f"a right is missing in {access.dsn.database!r}: permission denied for database {access.dsn.database}"
        )
        assert problem.hint is not None
        connection.execute(problem.hint.rpartition("or, beforehand, ")[2].encode())
    ControlPlane.open(access).close()


def test_tables_of_somebody_else_are_told(postgres: PostgresServer) -> None:
    access = prepared(postgres)
    ControlPlane.open(access).close()
    with psycopg.connect(postgres.url(access.dsn.database), autocommit=True) as connection:
        connection.execute("ALTER TABLE dash.audit OWNER TO dash")
    assert bad(access) == ["1 tables of schema 'dash' belong to another role"]
    plane = ControlPlane.open(access)
    with pytest.raises(ConfigError) as caught:
        plane.write_now(lambda tx: tx.execute(schema.text("SELECT count(*) FROM dash.audit")))
    plane.close()
    assert caught.value.problems[0].hint == f"ALTER TABLE dash.audit OWNER TO {access.dsn.user};"
