"""The page docs/reference/licence.md, made from the licence's own code."""

from collections.abc import Iterator
from datetime import date

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from license import envelope, standing
from license.document import ANY, Feature, License, Limits
from license.entitlements import COMMUNITY, DEEDS
from license.envelope import Kind
from license.issue import sealed
from license.keys import KEY_ID_BYTES, SIGNATURE_BYTES
from license.standing import Standing

_STANDINGS = {
    Standing.COMMUNITY: "no licence is installed, or the one that is does not count",
    Standing.VALID: f"more than {standing.WARN_DAYS[0]} days before its last day",
    Standing.ENDING: f"the last {standing.WARN_DAYS[0]} days, its last day among them",
    Standing.GRACE: f"the {standing.GRACE.days} days after its last day",
    Standing.LAPSED: "later",
}
_FIELDS = {
    "id": "names it, in revocation lists and in the audit trail",
    "customer": "whose it is",
    "edition": "as it is shown",
    "features": f"sorted, none twice; this version knows {', '.join(f'`{one.value}`' for one in Feature)}",
    "limits": "an object: each number, or null for as many as one likes",
    "issued_on": "a day",
    "valid_from": "its first day",
    "valid_to": "its last day, in UTC",
    "maintenance_to": "versions of Dash released up to this day may be installed",
    "installation": f"a request code, or `{ANY}`",
}
# The first test key of RFC 8032, section 7.1: known to everybody, and pinned by nobody.
_EXAMPLE_KEY = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")


def page() -> str:
    """Return the whole page."""
    return "\n".join([*_states(), *_community(), *_format(), ""])


def _states() -> Iterator[str]:
    yield "# What a licence does, and its format\n"
    yield "Generated from the code by `make docs`. How to use it: [the handbook](../handbook/licence.md).\n"
    yield "## States\n"
    yield "| state | when |\n|---|---|"
    yield from (f"| `{one.value}` | {told} |" for one, told in _STANDINGS.items())
    days = [str(one) for one in standing.WARN_DAYS]
    yield f"\nDays are in UTC. Steps of the warning: {', '.join(days[:-1])} and {days[-1]} days before the last day.\n"
    yield "## What may be done in each state\n"
    yield f"| | {' | '.join(one.value for one in Standing)} |\n|---|{'---|' * len(Standing)}"
    for deed in DEEDS:
        allowed = "yes" if deed.feature is None else "if named"
        marks = ("**refused**" if one in deed.stops else allowed for one in Standing)
        yield f"| {deed.name} | {' | '.join(marks)} |"
    yield "\n*If named*: where the licence names the feature. What was set with it stays in force in every state,"
    yield "and may be taken away in every state."


def _community() -> Iterator[str]:
    yield "\n## What everybody has\n"
    yield "| of | Community |\n|---|---|"
    for name in Limits.__struct_fields__:
        limit = getattr(COMMUNITY, name)
        yield f"| {name.replace('_', ' ')} | {'as many as one likes' if limit is None else limit} |"
    yield "\nA licence never allows less of organisations, users, pipelines and nodes."


def _format() -> Iterator[str]:
    head = len(envelope.MAGIC) + 2
    length_at = head + KEY_ID_BYTES
    kinds = ", ".join(f"`{one.value.decode()}` {one.name.lower()}" for one in Kind)
    yield "\n## The format, byte for byte\n"
    yield "Numbers are big-endian.\n"
    yield "| offset | bytes | what |\n|---|---|---|"
    yield f"| 0 | {len(envelope.MAGIC)} | `{envelope.MAGIC.decode()}` |"
    yield f"| 4 | 1 | kind: {kinds} |"
    yield f"| 5 | 1 | version of this layout: {envelope.VERSION} |"
    yield f"| {head} | {KEY_ID_BYTES} | key id: the first bytes of SHA-256 of the public key |"
    yield f"| {length_at} | 4 | n: length of the content |"
    yield f"| {length_at + 4} | n | content: JSON in UTF-8, keys sorted at every level, no white space, nothing twice |"
    yield f"| {length_at + 4} + n | {SIGNATURE_BYTES} | Ed25519 signature (RFC 8032) of everything before it |\n"
    yield "As text: these bytes in base64 (RFC 4648, section 4, padded) between `-----BEGIN DASH LICENSE-----` and"
    yield "`-----END DASH LICENSE-----`, for a list `REVOCATIONS`. White space inside counts for nothing; what stands"
    yield "before and after is not looked at. Content that is written in any other way is refused, whoever signed it.\n"
    yield "| key of a licence | what it says |\n|---|---|"
    yield from (f"| `{name}` | {_FIELDS[name]} |" for name in sorted(License.__struct_fields__))
    yield f"\n`limits`: {', '.join(f'`{name}`' for name in sorted(Limits.__struct_fields__))}.\n"
    yield "A revocation list has `number` (a list replaces those with a smaller one), `issued_on`, and `licenses`, the"
    yield "ids that were taken back.\n"
    yield from _example()


def _example() -> Iterator[str]:
    key = Ed25519PrivateKey.from_private_bytes(_EXAMPLE_KEY)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    text = sealed(Kind.LICENSE, _example_license(), key)
    found = envelope.parse(Kind.LICENSE, text)
    yield "### An example to check a reader by\n"
    yield "Signed by the first test key of RFC 8032, whose public key is"
    yield f"`{public.hex()}`, key id `{found.key_id.hex()}`."
    yield "No version of Dash accepts it.\n"
    yield f"```\n{text}```\n\nIts content, {len(found.content)} bytes:\n\n```json\n{found.content.decode()}\n```\n"
    yield f"Its signature: `{found.signature.hex()}`"


def _example_license() -> License:
    return License(
        id="lic_example",
        customer="Example Works",
        edition="Team",
        features=("white_label",),
        limits=Limits(organisations=1, users=25, pipelines=50, events_per_day=None, nodes=2),
        issued_on=date(2027, 1, 1),
        valid_from=date(2027, 1, 1),
        valid_to=date(2027, 12, 31),
        maintenance_to=date(2027, 12, 31),
        installation=ANY,
    )
