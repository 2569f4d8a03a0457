"""A database examined for people: what was found with remedies, what Dash would do there, or why it was not reached."""

import socket
from collections.abc import Iterable, Sequence

import msgspec

from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn, Endpoint
from appliance.domain.database.findings import Need, findings, intentions
from appliance.domain.database.refusal import Part, Refusal
from appliance.domain.finding import Examined
from appliance.egress.guard import Address, Allowed, Verdict, judge, parse_address
from appliance.errors import TransientError
from appliance.storage.control.backend import Unreachable
from appliance.storage.control.survey import survey


class Examination(msgspec.Struct, frozen=True, omit_defaults=True):
    """``refused``: the part of the DSN that is wrong; then there is one finding, and no intention."""

    findings: list[Examined]
    intentions: list[str] = []
    refused: Part | None = None

    @property
    def usable(self) -> bool:
        return all(one.state != "bad" for one in self.findings)


def examine(access: Access, need: Need, replicas: Iterable[Access] = ()) -> Examination:
    """Look at the database and its replicas; blocking, changes nothing there."""
    try:
        facts = survey(access, replicas)
    except Unreachable as error:
        why = error.refusal
        return Examination([Examined("database", "bad", why.message, why.remedy)], refused=why.part)
    except TransientError as error:
        return Examination([Examined("database", "bad", str(error), "try again; see the server's own log")])
    return Examination(findings(facts, need), intentions(facts, need))


def guarded(dsn: Dsn, allow: Sequence[Allowed]) -> Dsn:
    """Return ``dsn`` bound to the addresses that its names have now, each judged; blocking.

    For one that was typed into a screen: what the operator wrote into the settings is permitted by that.

    Raises:
        Unreachable: a name is not known, an address may not be connected to, or it is a socket of this machine.
    """
    hosts, ports, addresses = [], [], []
    for endpoint in dsn.endpoints:
        for address in _addresses(dsn, endpoint):
            verdict = judge(address, endpoint.port, allow)
            if verdict in (Verdict.NEVER, Verdict.PRIVATE):
                raise Unreachable(_forbidden(endpoint, address, verdict))
            hosts.append(endpoint.host)
            ports.append(str(endpoint.port))
            addresses.append(str(address))
    return dsn.replaced(host=",".join(hosts), port=",".join(ports), hostaddr=",".join(addresses))


def _addresses(dsn: Dsn, endpoint: Endpoint) -> list[Address]:
    if endpoint.is_socket:
        told = "a socket of this machine is not connected to from a screen"
        raise Unreachable(Refusal(Part.HOST, told, "name a host, or write the socket into the settings: database.url"))
    try:
        answers = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        told = f"the host {endpoint.host!r} is not known here"
        raise Unreachable(Refusal(Part.HOST, told, "check its spelling and this machine's DNS", passes=True)) from error
    return list(dict.fromkeys(parse_address(str(sockaddr[0])) for *_, sockaddr in answers))


def _forbidden(endpoint: Endpoint, address: Address, verdict: Verdict) -> Refusal:
    if verdict is Verdict.NEVER:
        told = f"{endpoint.host!r} is {address}, a link-local, metadata or multicast address"
        return Refusal(Part.HOST, told, "name the database by another address: none such is connected to")
    network = f"[{address}/128]" if address.version == 6 else f"{address}/32"
    told = f"{endpoint.host!r} is {address}, a private address, which a screen may not have connected to by itself"
    remedy = f"the operator of this machine sets DASH_DATABASE_URL, or adds '{network}:{endpoint.port}' to egress.allow"
    return Refusal(Part.HOST, told, remedy)
