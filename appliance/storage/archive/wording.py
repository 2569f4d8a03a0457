"""What an object store answered, as a sentence with what to do. Never the answer itself: some quote what was signed."""

import re

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_NO_BUCKET = "NoSuchBucket"
_CLOCK = "the clocks of this machine and of the archive differ by more than 15 minutes: set the clock"

_SAYINGS = {
    _NO_BUCKET: "there is no such bucket: create it, or correct archive.url",
    "InvalidBucketName": "this is no name of a bucket: correct archive.url",
    "InvalidAccessKeyId": "it does not know this access key: correct archive.access_key",
    "SignatureDoesNotMatch": "the secret key is not the one of this access key: correct archive.secret_key",
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "ExpiredToken": "the session token has expired: renew archive.credentials_file",
    "InvalidToken": "the session token is not valid: renew archive.credentials_file",
    "AuthorizationHeaderMalformed": "it is in another region: correct archive.region",
    "PermanentRedirect": "the bucket is at another endpoint: correct archive.endpoint and archive.region",
    "InvalidObjectState": "the object was moved to cold storage: restore it there, and remove the rule that moves it",
    "QuotaExceeded": "the bucket is full: give it more room, or shorten a retention",
    "SlowDown": "it asks for fewer requests",
}
_STATUSES = {
    "401": "it does not accept these credentials: correct archive.access_key and archive.secret_key",
    "507": _SAYINGS["QuotaExceeded"],
}
_DENIED = "it does not let this key {doing}: allow {action} on {place}/*"
_ACTIONS = {
    "store": "s3:PutObject",
    "read": "s3:GetObject",
    "list": "s3:ListBucket",
    "delete": "s3:DeleteObject",
}
_SETTING = re.compile(r"(?<= )archive\.(?=(?:url|access_key|secret_key|credentials_file|region|endpoint)\b)")
_ODD = re.compile(r'invalid path: (?:Error parsing )?Path "([^"\n]{1,200})"')
_CONNECTING = "no answer: see that the address {at} is right, its certificate valid, and the way to it open"


def code_of(answer: str) -> str:
    """Return the error code of S3 in ``answer``; nothing where there is none."""
    found = _CODE.search(answer)
    return found[1] if found else ""


def is_missing_bucket(answer: str) -> bool:
    return code_of(answer) == _NO_BUCKET


def told(doing: str, answer: str, place: str, at: str) -> str:
    """Return what went wrong. ``doing``: store, read, list or delete; ``at``: the endpoint."""
    code = code_of(answer)
    status = _STATUS.search(answer)
    if code in _SAYINGS:
        return _SAYINGS[code]
    if code in ("AccessDenied", "AllAccessDisabled") or (status and status[1] == "403"):
        return _DENIED.format(doing=doing, action=_ACTIONS[doing], place=place)
    if status and status[1] in _STATUSES:
        return _STATUSES[status[1]]
    if status:
        return f"it answered {status[1]}{f' ({code})' if code else ''}"
    if odd := _ODD.search(answer):
        return f"somebody has put an object there whose name nobody can read ({odd[1]!r}): remove it"
    if "redirect without LOCATION" in answer:  # how obstore words 301
        return _SAYINGS["PermanentRedirect"]
    if "timed out" in answer or "TimedOut" in answer:
        return "it did not answer in time"
    return _CONNECTING.format(at=at)


def in_section(sentence: str, section: str) -> str:
    """Return what ``told`` says, of the settings of another section: backups have the same ones."""
    return _SETTING.sub(f"{section}.", sentence)
