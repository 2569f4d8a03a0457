"""Shell commands that send one event to a webhook, signed when they are pasted; they need curl and openssl only."""

from collections.abc import Mapping
from typing import Any

PLACEHOLDER = "whsec_PASTE_THE_SIGNING_SECRET"
_HMAC_TEXT_KEY = 'openssl dgst -sha256 -hmac "$secret"'
# openssl takes a binary key as hex only; od and tr are everywhere.
_STANDARD_KEY = "key=$(printf %s \"${secret#whsec_}\" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')"
_HEX = "sed 's/^.* //'"


def send_command(source: Mapping[str, Any], url: str, secret: str | None, body: str) -> str:
    """Return a command that posts ``body`` to ``url`` as a webhook with the settings ``source`` expects it.

    ``secret``: None leaves a placeholder to be replaced. The signature is computed by the command itself, so it is
    fresh whenever it is run.
    """
    scheme = str(source.get("signature", "standard_webhooks"))
    lines = [] if scheme == "none" else [f"secret={_quoted(secret or PLACEHOLDER)}"]
    lines.append(f"body={_quoted(body)}")
    signing, headers = _signing(scheme, source)
    lines += signing
    options = [f"-H {header}" for header in ("'content-type: application/json'", *headers)]
    return "\n".join([*lines, " \\\n  ".join([f"curl -sS {_quoted(url)}", *options, '--data-binary "$body"'])])


def _signing(scheme: str, source: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the lines that compute a signature, and the headers that carry it, quoted for the shell."""
    match scheme:
        case "standard_webhooks":
            return [
                "id=msg_$(openssl rand -hex 12); ts=$(date +%s)",
                _STANDARD_KEY,
                'sig=$(printf %s "$id.$ts.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary '
                "| openssl base64 -A)",
            ], ['"webhook-id: $id"', '"webhook-timestamp: $ts"', '"webhook-signature: v1,$sig"']
        case "github":
            return [f'sig=$(printf %s "$body" | {_HMAC_TEXT_KEY} | {_HEX})'], [
                '"x-hub-signature-256: sha256=$sig"',
                '"x-github-delivery: $(openssl rand -hex 16)"',
            ]
        case "stripe":
            return [
                "ts=$(date +%s)",
                f'sig=$(printf %s "$ts.$body" | {_HMAC_TEXT_KEY} | {_HEX})',
            ], ['"stripe-signature: t=$ts,v1=$sig"']
        case "slack":
            return [
                "ts=$(date +%s)",
                f'sig=$(printf %s "v0:$ts:$body" | {_HMAC_TEXT_KEY} | {_HEX})',
            ], ['"x-slack-request-timestamp: $ts"', '"x-slack-signature: v0=$sig"']
        case "hmac_sha256":
            return _plain(source)
        case _:
            return [], []


def _plain(source: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    header, prefix = str(source.get("header", "X-Signature")), str(source.get("prefix", ""))
    digest = (
        f"{_HMAC_TEXT_KEY} -binary | openssl base64 -A"
        if source.get("encoding") == "base64"
        else f"{_HMAC_TEXT_KEY} | {_HEX}"
    )
    return [f'sig=$(printf %s "$body" | {digest})'], [f'{_quoted(f"{header}: {prefix}")}"$sig"']


def _quoted(text: str) -> str:
    """Return ``text`` as one word for a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"
