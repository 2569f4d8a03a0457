"""An archive in an S3 bucket or whatever speaks like one, by obstore."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from appliance.components.archive import ArchiveStore, Stored
from appliance.errors import Conflict, NotFound, TransientError
from appliance.storage.archive.ambient import forget_ambient
from appliance.storage.archive.credentials import Credentials
from appliance.storage.archive.wording import in_section, is_missing_bucket, told

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential

PART: Final = 8 << 20  # of an upload, and of a download: what a slow line must carry within the time-out
_PARTS_AT_A_TIME: Final = 2
_CREDENTIALS_LAST: Final = timedelta(minutes=5)  # then the file is read again, and a rotated key is found
_RETRY_SECS: Final = 10.0


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is. ``endpoint`` None: AWS, by region. ``ca``: further certificates to trust, as PEM.

    ``section``: of the settings, as messages name it.
    """

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    path_style: bool = True
    ca: bytes | None = None
    section: str = "archive"


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a connection may take, one request with its body, and repeating it over all."""

    connect: timedelta = timedelta(seconds=5)
    request: timedelta = timedelta(seconds=60)
    retries: int = 3
    retrying: timedelta = timedelta(seconds=90)


class S3Archive:
    """One bucket. Requests are signed with the SHA-256 of what they carry, and the server is told it as a checksum."""

    def __init__(
        self, bucket: Bucket, credentials: Callable[[], Credentials], patience: Patience | None = None
    ) -> None:
        forget_ambient()
        self._bucket, self._credentials = bucket, credentials
        self._at = bucket.endpoint or f"https://s3.{bucket.region}.amazonaws.com"
        self._store = S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            config=_config(bucket, self._at),
            client_options=_client(bucket, self._at, patience or Patience()),
            retry_config=_retry(patience or Patience()),
            credential_provider=self._signing,
        )

    @property
    def place(self) -> str:
        return "s3://" + "/".join(filter(None, (self._bucket.name, self._bucket.prefix)))

    def put(self, key: str, content: Path | bytes, *, only_new: bool = False) -> None:
        large = isinstance(content, Path) and content.stat().st_size > PART
        try:
            obstore.put(
                self._store, key, content, mode="create" if only_new else "overwrite",
                use_multipart=large and not only_new, chunk_size=PART, max_concurrency=_PARTS_AT_A_TIME,
            )  # fmt: skip
        except AlreadyExistsError as error:
            raise Conflict(f"storing {key} in {self.place}: there is one already") from error
        except (BaseError, OSError) as error:
            self._fail("store", key, error)

    def read(self, key: str) -> Iterator[bytes]:
        size = self._size(key)
        for start in range(0, size, PART):
            try:
                piece = bytes(obstore.get_range(self._store, key, start=start, end=min(start + PART, size)))
            except (BaseError, OSError) as error:
                self._fail("read", key, error)
            if len(piece) != min(PART, size - start):
                raise TransientError(f"reading {key} from {self.place}: it came cut short", _RETRY_SECS)
            yield piece

    def list(self, prefix: str) -> Iterator[Stored]:
        try:
            for group in obstore.list(self._store, prefix, chunk_size=1000):
                yield from (Stored(one["path"], one["size"]) for one in group)
        except (BaseError, OSError) as error:
            self._fail("list", prefix, error)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError as error:
                if is_missing_bucket(str(error)):
                    self._fail("delete", key, error)
            except (BaseError, OSError) as error:
                self._fail("delete", key, error)

    def versions(self, key: str) -> bool:
        """Return whether the bucket keeps what is replaced or removed as an old version of it, as ``key`` has it."""
        try:
            version = obstore.head(self._store, key)["version"]
        except (BaseError, OSError) as error:
            self._fail("read", key, error)
        return version not in (None, "null")

    def _size(self, key: str) -> int:
        try:
            return int(obstore.head(self._store, key)["size"])
        except (BaseError, OSError):
            return self._size_or_reason(key)

    def _size_or_reason(self, key: str) -> int:
        """An answer to HEAD has no body, and so does not say what is wrong; one to GET does."""
        try:
            return int(obstore.get(self._store, key).meta["size"])
        except (BaseError, OSError) as error:
            self._fail("read", key, error)

    def _signing(self) -> "S3Credential":
        now = self._credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_LAST,
        }

    def _fail(self, doing: str, key: str, error: Exception) -> NoReturn:
        if isinstance(error, OSError) and error.errno is not None:
            raise error  # the file on this disk
        answer = str(error)
        if doing == "read" and isinstance(error, FileNotFoundError) and not is_missing_bucket(answer):
            raise NotFound(f"reading {key} from {self.place}: there is no such object") from None
        self._credentials()  # of a file that cannot be read, its own sentence is the better one
        reason = in_section(told(doing, answer, self.place, self._at), self._bucket.section)
        work = "archiving to" if self._bucket.section == "archive" else "backups in"
        raise TransientError(f"{work} {self.place}: {reason}", _RETRY_SECS) from None  # see wording


def _config(bucket: Bucket, at: str) -> "S3Config":
    return {
        "endpoint": at if bucket.path_style else at.replace("://", f"://{bucket.name}.", 1),
        "region": bucket.region,
        "virtual_hosted_style_request": not bucket.path_style,
        "checksum_algorithm": "SHA256",
        "conditional_put": "etag",
        "disable_bulk_delete": True,  # not spoken by everybody, and answered with 200 for what is refused
        "imdsv1_fallback": False,
    }


def _client(bucket: Bucket, at: str, patience: Patience) -> "ClientConfig":
    options: ClientConfig = {
        "allow_http": at.startswith("http://"),
        "connect_timeout": patience.connect,
        "timeout": patience.request,
    }
    if bucket.ca is not None:
        options["root_certificate"] = bucket.ca
    return options


def _retry(patience: Patience) -> Any:
    return {"max_retries": patience.retries, "retry_timeout": patience.retrying}


_: type[ArchiveStore] = S3Archive
