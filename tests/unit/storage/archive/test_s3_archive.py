"""An S3 archive on a way where things go wrong, and what it must never ask."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from appliance.errors import TransientError
from appliance.storage.archive.credentials import Credentials, read_credentials
from appliance.storage.archive.probe import try_out
from appliance.storage.archive.wording import in_section, told
from appliance.storage.bronze.archive.objects import Objects
from tests.s3 import Fault, FaultProxy, S3Server, s3_server


def objects(s3: S3Server, proxy: FaultProxy) -> Objects:
    return Objects(s3.archive(s3.new_bucket(), proxy.endpoint), "here/pl")


def first_time(fault: Fault, method: str) -> Any:
    """Let the first request by ``method`` go wrong."""
    left = [fault]
    return lambda asked, path: left.pop() if asked == method and left else None


@pytest.mark.parametrize("fault", [Fault(status=503, code="SlowDown"), Fault(status=500), Fault(cut=True)])
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_what_goes_wrong_once_is_done_again(s3: S3Server, s3_proxy: FaultProxy, fault: Fault, method: str) -> None:
    kept = objects(s3, s3_proxy)
    s3_proxy.fault = first_time(fault, method)
    kept.keep("one", b"x" * 4096)
    assert kept.content("one") == b"x" * 4096
    assert [asked for asked, _ in s3_proxy.asked].count(method) >= 2


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(status=503, code="SlowDown"), "it asks for fewer requests"),
        (Fault(status=500), "it answered 500"),
        (Fault(status=403, code="RequestTimeTooSkewed"), "differ by more than 15 minutes: set the clock"),
        (Fault(status=403, code="AccessDenied"), "it does not let this key store: allow s3:PutObject on s3://"),
        (Fault(status=400, code="ExpiredToken"), "the session token has expired"),
        (Fault(status=301, code="PermanentRedirect"), "the bucket is at another endpoint"),
    ],
)
def test_what_stays_wrong_is_told_with_what_to_do(s3: S3Server, s3_proxy: FaultProxy, fault: Fault, says: str) -> None:
    kept = objects(s3, s3_proxy)
    s3_proxy.fault = lambda method, path: fault
    with pytest.raises(TransientError, match=says):
        kept.keep("one", b"1")


def test_a_server_that_answers_too_late_is_given_up(s3: S3Server, s3_proxy: FaultProxy) -> None:
    kept, late = objects(s3, s3_proxy), Event()
    s3_proxy.fault = lambda method, path: Fault(hold=late)
    try:
        with pytest.raises(TransientError):
            kept.keep("one", b"1")
    finally:
        late.set()


def test_what_was_stored_wrong_is_found_out_before_it_counts(s3: S3Server, s3_proxy: FaultProxy) -> None:
    kept = objects(s3, s3_proxy)
    kept.keep("one", b"as it was written")
    s3_proxy.fault = first_time(Fault(wrong=True), "PUT")
    with pytest.raises(TransientError, match="it came back with the SHA-256"):
        kept.keep("two", b"as it was written")
    kept.keep("two", b"as it was written")


@pytest.fixture
def everybody_is_asked() -> Iterator[S3Server]:
    """A server with one user who may do everything and one who may only look."""
    with s3_server(asks_who=True) as server:
        iam = server.client("iam")  # the four requests that are believed
        iam.create_user(UserName="ada")
        key = iam.create_access_key(UserName="ada")["AccessKey"]
        allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=policy)
        server.client().list_buckets()
        server.access_key, server.secret_key = key["AccessKeyId"], key["SecretAccessKey"]
        yield server


def test_a_wrong_key_and_a_missing_right_are_told_apart(everybody_is_asked: S3Server) -> None:
    s3 = everybody_is_asked
    bucket = s3.new_bucket()
    assert [one.trouble for one in try_out(s3.archive(bucket), "doctor")] == [False]
    iam = s3.client("iam")
    iam.create_user(UserName="eve")
    key = iam.create_access_key(UserName="eve")["AccessKey"]
    looks = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [looks]})
    iam.put_user_policy(UserName="eve", PolicyName="look", PolicyDocument=policy)
    for credentials, says in (
        (Credentials(s3.access_key, "wrong"), "the secret key is not the one of this access key"),
        (Credentials("AKIANOBODY", s3.secret_key), "it does not know this access key"),
        (Credentials(key["AccessKeyId"], key["SecretAccessKey"]), "delete: allow s3:DeleteObject"),
    ):
        (tried,) = try_out(s3.archive(bucket, credentials=credentials), "doctor")
        assert (tried.trouble, says in tried.message) == (True, True), tried.message
        assert credentials.secret_key not in tried.message


def test_a_bucket_that_keeps_versions_is_told_of(s3: S3Server) -> None:
    bucket = s3.new_bucket()
    s3.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    fine, versions = try_out(s3.archive(bucket), "doctor")
    assert (fine.trouble, versions.trouble) == (False, False)
    assert "keeps old versions" in versions.message


AMBIENT = """
import sys
from obstore.store import S3Store
import obstore
from datetime import timedelta
endpoint, bucket, key, secret = sys.argv[1:]
try:
    STORE
except Exception as error:
    print(type(error).__name__)
else:
    print("stored")
"""
CARELESS = """
    store = S3Store(bucket, config={"endpoint": endpoint, "region": "eu-central-1"},
        client_options={"allow_http": True, "timeout": "2s"}, retry_config={"max_retries": 0})
    obstore.put(store, "here/one", b"1")
"""
CAREFUL = """
    from appliance.storage.archive.credentials import Credentials
    from appliance.storage.archive.s3 import Bucket, S3Archive
    where = Bucket(name=bucket, endpoint=endpoint, region="eu-central-1")
    S3Archive(where, lambda: Credentials(key, secret)).put("here/one", b"1")
"""


class Listener:
    """Stands for a proxy, a cloud's metadata service, and an endpoint that the environment names."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                outer.asked.append(f"{self.command} {self.path}")
                self.send_error(404)

            do_GET = do_PUT = do_POST = do_HEAD = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.mark.parametrize(
    "ambient",
    [
        {"HTTP_PROXY": "{}", "http_proxy": "{}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        {"AWS_METADATA_ENDPOINT": "{}"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{}/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/dev/null"},
        {"AWS_ENDPOINT_URL_S3": "{}", "AWS_ALLOW_HTTP": "true", "AWS_SKIP_SIGNATURE": "true"},
    ],
    ids=["proxy", "metadata", "container", "endpoint"],
)
def test_nothing_of_the_environment_is_followed(s3: S3Server, ambient: dict[str, str]) -> None:
    bucket, found = s3.new_bucket(), {}
    for name, store in (("careless", CARELESS), ("careful", CAREFUL)):
        listener = Listener()
        environment = {one: value.format(listener.url) for one, value in ambient.items()}
        program = AMBIENT.replace("STORE", store.strip())
        done = subprocess.run(
            [sys.executable, "-c", program, s3.endpoint, bucket, s3.access_key, s3.secret_key], env=environment,
            capture_output=True, text=True,
            check=False, cwd=Path(__file__).parents[4],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found[name] = (done.stdout.strip(), listener.asked != [])
        listener.server.shutdown()
        listener.server.server_close()
    assert found["careful"] == ("stored", False)
    assert found["careless"][1], "the control asked nobody, so this proves nothing"


def test_obstore_is_imported_for_a_bucket_only() -> None:
    program = (
        "import sys, appliance.archiving, appliance.storage.bronze, appliance.storage.archive.opening;"
        "print('obstore' in sys.modules or 'appliance.storage.bronze.archive' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_credentials_are_read_from_a_file_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIA\naws_secret_access_key = a%b=c\n")
    found = read_credentials(file)
    assert (found.access_key, found.secret_key, found.token) == ("AKIA", "a%b=c", None)
    assert "a%b" not in repr(found)
    file.write_text("[other]\naws_secret_access_key = geheim\n")
    with pytest.raises(TransientError, match=r"expected a section \[default\]") as caught:
        read_credentials(file)
    assert "geheim" not in str(caught.value)
    with pytest.raises(TransientError, match="No such file"):
        read_credentials(tmp_path / "none")


def test_an_answer_is_never_quoted() -> None:
    answer = "status code: 403 <Error><Code>SignatureDoesNotMatch</Code><StringToSign>geheim</StringToSign></Error>"
    assert told("store", answer, "s3://b", "http://h") == (
        "the secret key is not the one of this access key: correct archive.secret_key"
    )
    assert told("list", "status code: 418 <Code>Teapot</Code>", "s3://b", "http://h") == "it answered 418 (Teapot)"


def test_whoever_keeps_backups_is_sent_to_the_settings_of_backups() -> None:
    refused = "status code: 403 <Error><Code>SignatureDoesNotMatch</Code></Error>"
    assert in_section(told("store", refused, "s3://b", "http://h"), "backup").endswith("correct backup.secret_key")
    denied = told("read", "status code: 403", "s3://archive.url-of-ours", "http://h")
    assert "on s3://archive.url-of-ours/*" in in_section(denied, "backup")


def test_an_object_that_somebody_else_has_put_there_is_named() -> None:
    for answer in (
        'Encountered object with invalid path: Path "pre/objects//x" contained empty path segment',
        'Encountered object with invalid path: Error parsing Path "pre/../x": Encountered illegal character sequence',
    ):
        assert told("list", answer, "s3://b", "http://h").startswith("somebody has put an object there whose name")
