"""Where outgoing connections may go. Pure: addresses in, verdict out; whoever connects asks here first.

Judged is the address that will be connected to, never a name or a spelling: ``0x7f000001``, ``127.1`` and a public name
that resolves to loopback are all 127.0.0.1 by then.
"""

from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Verdict(Enum):
    """What may be done with an address."""

    PUBLIC = "public"
    ALLOWED = "allowed"  # private, and the administrator listed it
    PRIVATE = "private"  # refused, unless listed
    NEVER = "never"  # refused, listed or not


class Allowed(msgspec.Struct, frozen=True):
    """One entry of the setting ``egress.allow``. ``port`` None: every port."""

    network: Network
    port: int | None = None

    def covers(self, address: Address, port: int) -> bool:
        return address.version == self.network.version and address in self.network and self.port in (None, port)


_NEVER = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # "this host": connects to loopback on Linux
            "169.254.0.0/16",  # link-local, and nearly every cloud's metadata service
            "100.100.100.200/32",  # metadata of Alibaba Cloud
            "168.63.129.16/32",  # Azure's platform address, public by its number
            "192.0.0.192/32",  # metadata of Oracle Cloud
            "224.0.0.0/4",
            "255.255.255.255/32",
            "::/128",
            "fe80::/10",
            "fd00:ec2::254/128",  # metadata of AWS
            "fd20:ce::254/128",  # metadata of Google Cloud
            "ff00::/8",
        ),
    )
)
# Assigned by IANA for special purposes although ``is_global`` says True (or said so in some Python release).
_SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20")))
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


def parse_allowed(text: str) -> Allowed:
    """Return the entry that ``10.0.0.0/8``, ``10.1.2.3:8080``, ``fd00::/8`` or ``[fd00::/8]:443`` names.

    Raises:
        ValueError: not such a text; the message says what was expected.
    """
    network, colon, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ValueError(f"expected a port between 1 and 65535 after the colon, got {text!r}")
    try:
        return Allowed(ip_network(network.strip("[]")), int(port) if colon else None)
    except ValueError as error:
        raise ValueError(f"expected a network such as '10.0.0.0/8' or '10.1.2.3/32:8080', got {text!r}") from error


def judge(address: Address, port: int, allow: Iterable[Allowed]) -> Verdict:
    """Return whether ``address`` may be connected to.

    An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo) can only make the verdict worse.

    Source: IANA IPv4 and IPv6 Special-Purpose Address Registries.
    """
    inner = embedded(address)
    if _within(address, _NEVER) or (inner is not None and _within(inner, _NEVER)):
        return Verdict.NEVER
    if inner is None and _is_public(address):
        return Verdict.PUBLIC
    return Verdict.ALLOWED if any(entry.covers(address, port) for entry in allow) else Verdict.PRIVATE


def embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that packets to ``address`` would be carried on to; None: there is none."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def parse_address(text: str) -> Address:
    """Return the address that a resolver answered, without its zone (``fe80::1%eth0``).

    Raises:
        ValueError: not an address.
    """
    return ip_address(text.partition("%")[0])


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not _within(address, _SPECIAL)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
