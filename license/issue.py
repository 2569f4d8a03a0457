"""The vendor's side: ``python -m license.issue``. Makes keys, issues and looks at documents; not in the binary.

A private key lies in a file as PKCS #8 in PEM, encrypted by a passphrase, and nowhere else.
"""

import os
import secrets
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from license import envelope, request
from license.document import ANY, License, Limits, Revocations, decoded, encoded
from license.envelope import Kind
from license.errors import LicenseError
from license.keys import KeyRing, key_id

_DAY = click.DateTime(["%Y-%m-%d"])


def sealed(kind: Kind, content: License | Revocations, key: Ed25519PrivateKey) -> str:
    """Return the text of ``content`` signed by ``key``."""
    signed = envelope.unsigned(kind, key_id(_public(key)), encoded(content))
    return envelope.armoured(kind, signed + key.sign(signed))


@click.group()
def main() -> None:
    """Issue licences of Dash, and what belongs to that."""


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.password_option("--passphrase", envvar="DASH_ISSUE_PASSPHRASE", help="Encrypts the private key.")
def key(file: Path, passphrase: str) -> None:
    """Make a key pair: the private one in FILE, the public one on the screen, to be pinned."""
    if not passphrase:
        raise click.ClickException("a private key without a passphrase is not written: give one")
    made = Ed25519PrivateKey.generate()
    pem = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    try:
        with open(file, "xb", opener=_private) as out:
            out.write(pem)
    except FileExistsError as error:
        raise click.ClickException(f"{file} is there already, and a key is never written over") from error
    public = _public(made)
    click.echo(f"key id  {key_id(public).hex()}\npublic  {public.hex()}")


@main.command()
@click.option("--key", "file", required=True, type=click.Path(path_type=Path, exists=True), help="The private key.")
@click.option("--passphrase", envvar="DASH_ISSUE_PASSPHRASE", prompt=True, hide_input=True)
@click.option("--customer", required=True)
@click.option("--edition", required=True, help="As it is shown, such as Team.")
@click.option("--feature", "features", multiple=True, help="Repeat for each.")
@click.option("--organisations", type=click.IntRange(0), help="None: as many as one likes. So for each limit.")
@click.option("--users", type=click.IntRange(0))
@click.option("--pipelines", type=click.IntRange(0))
@click.option("--events-per-day", type=click.IntRange(0))
@click.option("--nodes", type=click.IntRange(0))
@click.option("--valid-from", type=_DAY, help="First day. [default: today]")
@click.option("--valid-to", type=_DAY, required=True, help="Last day, in UTC.")
@click.option("--maintenance-to", type=_DAY, help="Versions released up to this day. [default: as --valid-to]")
@click.option("--request", "code", help="Request code of the installation. [default: any installation]")
@click.option("--today", type=_DAY, default=lambda: date.today().isoformat(), hidden=True)  # noqa: DTZ011 - a day
def license(**given: Any) -> None:
    """Issue a licence; it goes to standard output."""
    signer = _signer(given["file"], given["passphrase"])
    today, last = given["today"].date(), given["valid_to"].date()
    try:
        document = License(
            id=f"lic_{secrets.token_hex(8)}",
            customer=given["customer"],
            edition=given["edition"],
            features=tuple(sorted(set(given["features"]))),
            limits=Limits(**{name: given[name] for name in Limits.__struct_fields__}),
            issued_on=today,
            valid_from=(given["valid_from"].date() if given["valid_from"] else today),
            valid_to=last,
            maintenance_to=(given["maintenance_to"].date() if given["maintenance_to"] else last),
            installation=ANY if given["code"] is None else request.parse(given["code"]),
        )
        checked = decoded(encoded(document), License)
    except LicenseError as error:
        raise click.ClickException(f"{error}: {error.remedy}") from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(sealed(Kind.LICENSE, checked, signer), nl=False)


@main.command()
@click.option("--key", "file", required=True, type=click.Path(path_type=Path, exists=True), help="The private key.")
@click.option("--passphrase", envvar="DASH_ISSUE_PASSPHRASE", prompt=True, hide_input=True)
@click.option("--number", type=click.IntRange(0), required=True, help="Above that of the list before.")
@click.option("--today", type=_DAY, default=lambda: date.today().isoformat(), hidden=True)  # noqa: DTZ011 - a day
@click.argument("licenses", nargs=-1)
def revocations(file: Path, passphrase: str, number: int, today: Any, licenses: tuple[str, ...]) -> None:
    """Issue a revocation list that names LICENSES, also those of the list before; it goes to standard output."""
    document = Revocations(number=number, issued_on=today.date(), licenses=tuple(sorted(set(licenses))))
    click.echo(sealed(Kind.REVOCATIONS, document, _signer(file, passphrase)), nl=False)


@main.command()
@click.argument("file", type=click.File())
@click.option("--public", "keys", multiple=True, help="Public key in hex; without any, the signature is not looked at.")
def inspect(file: Any, keys: tuple[str, ...]) -> None:
    """Show what the document in FILE (-: standard input) says, and whether one of the keys signed it."""
    text = file.read()
    kind = next((kind for kind in Kind if f"BEGIN DASH {kind.name}-" in text), Kind.LICENSE)
    try:
        document = envelope.parse(kind, text)
        if keys:
            document.opened(KeyRing(bytes.fromhex(one) for one in keys))
        said = decoded(document.content, License) if kind is Kind.LICENSE else decoded(document.content, Revocations)
    except LicenseError as error:
        raise click.ClickException(f"{error}: {error.remedy}") from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    shown = msgspec.json.format(encoded(said), indent=2).decode()
    click.echo(f"{shown}\nkey id  {document.key_id.hex()}: {'signed by it' if keys else 'signature not looked at'}")


def _signer(file: Path, passphrase: str) -> Ed25519PrivateKey:
    try:
        found = serialization.load_pem_private_key(file.read_bytes(), passphrase.encode())
    except (ValueError, TypeError) as error:
        raise click.ClickException(f"{file} is no private key, or the passphrase is another one") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise click.ClickException(f"{file} is a key of another kind; licences are signed by Ed25519")
    return found


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


if __name__ == "__main__":
    sys.exit(main())
