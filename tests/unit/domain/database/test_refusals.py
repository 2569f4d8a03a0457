"""What libpq and servers say, as the part of the DSN that is wrong. Their words were taken from PostgreSQL 15."""

import pytest

from appliance.domain.database.dsn import Dsn
from appliance.domain.database.refusal import Part, refusal

DSN = Dsn.parse("postgresql://ada:hunter2@db.example.org/dash?sslmode=require")
AT = 'connection failed: connection to server at "192.0.2.7", port 5432 failed: '


@pytest.mark.parametrize(
    ("told", "part", "message"),
    [
        ("failed to resolve host 'db.example.org': [Errno -2] Name or service not known", Part.HOST,
         "the host db.example.org port 5432 is not known here"),
        (AT + "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?", Part.PORT,
         "nobody listens on db.example.org port 5432"),
        ("connection timeout expired", Part.HOST, "db.example.org port 5432 does not answer"),
        (AT + "server does not support SSL, but SSL was required", Part.TLS,
         "db.example.org port 5432 does not speak TLS and sslmode=require wants it"),
        (AT + "SSL error: certificate verify failed", Part.TLS,
         "the certificate of db.example.org port 5432 was issued by nobody who is trusted here"),
        (AT + 'server certificate for "pg.internal" does not match host name "db.example.org"', Part.TLS,
         "the server's certificate is for 'pg.internal', not for 'db.example.org'"),
        (AT + 'root certificate file "/x/ca.crt" does not exist', Part.TLS,
         "the certificate file '/x/ca.crt' is not there"),
        (AT + 'FATAL:  database "dash" does not exist', Part.DATABASE, "the server has no database 'dash'"),
        (AT + 'FATAL:  role "ada" does not exist', Part.USER, "the server has no user 'ada'"),
        (AT + 'FATAL:  role "ada" is not permitted to log in', Part.USER, "the role 'ada' may not sign in"),
        (AT + 'FATAL:  password authentication failed for user "ada"', Part.PASSWORD,
         "the password for 'ada' is wrong, or there is no such user: the server does not say which"),
        (AT + "fe_sendauth: no password supplied", Part.PASSWORD,
         "the server wants a password for 'ada' and none was given"),
        (AT + 'FATAL:  Peer authentication failed for user "ada"', Part.USER,
         "this process's system user may not sign in as 'ada'"),
        (AT + 'FATAL:  no pg_hba.conf entry for host "192.0.2.1", user "ada", database "dash", no encryption',
         Part.ACCESS,
         "pg_hba.conf of the server has no line that lets in 'ada' in the database 'dash' from this machine "
         "without TLS"),
        (AT + 'FATAL:  permission denied for database "dash"\nDETAIL:  User does not have CONNECT privilege.',
         Part.ACCESS, "'ada' may not connect to the database 'dash'"),
        (AT + "FATAL:  sorry, too many clients already", Part.ROOM,
         "db.example.org port 5432 has no connection left"),
        (AT + "FATAL:  the database system is starting up", Part.SERVER,
         "the server db.example.org port 5432 is starting up"),
        (AT + "session is read-only", Part.STANDBY, "db.example.org port 5432 is a standby that takes no writes"),
        (AT + "received invalid response to SSL negotiation: H", Part.PORT,
         "what answers on db.example.org port 5432 is no PostgreSQL"),
        (AT + "FATAL:  unsupported startup parameter: options", Part.SERVER,
         "the pooler does not take a parameter: unsupported startup parameter: options"),
        (AT + "FATAL:  Rien ne va plus", Part.SERVER,
         "connecting to db.example.org port 5432 failed: Rien ne va plus"),
    ],
)  # fmt: skip
def test_each_part_has_a_sentence_of_its_own(told: str, part: Part, message: str) -> None:
    found = refusal(DSN, told)
    assert (found.part, found.message) == (part, message)
    assert found.remedy
    assert "hunter2" not in str(found)


def test_what_passes_by_itself_is_known() -> None:
    assert refusal(DSN, "FATAL:  the database system is shutting down").passes
    assert refusal(DSN, "Connection refused").passes
    assert not refusal(DSN, 'FATAL:  database "dash" does not exist').passes
