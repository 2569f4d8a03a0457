from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.egress.guard import Allowed, Verdict, embedded, judge, parse_address, parse_allowed

EVERYWHERE = (parse_allowed("0.0.0.0/0"), parse_allowed("::/0"))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::1", "192.0.1.1"])
def test_public(address: str) -> None:
    assert judge(ip_address(address), 443, ()) is Verdict.PUBLIC


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
        "192.0.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "240.0.0.1",
        "::1", "fc00::1", "fd12:3456::1", "fec0::1", "2001:db8::1", "3fff::1", "2001::1", "2001:20::1", "5f00::1",
        "100::1", "64:ff9b:1::1", "64:ff9b::8.8.8.8", "64:ff9b::10.0.0.1", "2002:808:808::1", "2002:7f00:1::1",
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "4000::1",
    ],
)  # fmt: skip
def test_private_unless_listed(address: str) -> None:
    assert judge(ip_address(address), 80, ()) is Verdict.PRIVATE
    assert judge(ip_address(address), 80, EVERYWHERE) is Verdict.ALLOWED


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fe80::1", "febf::1",
        "fd00:ec2::254", "fd20:ce::254", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.1.1.1", "255.255.255.255",
        "ff02::1", "ff0e::1", "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::169.254.169.254",
        "64:ff9b::100.100.100.200", "2002:a9fe:a9fe::1", "::ffff:0.0.0.0",
        "2001:0:4136:e378:8000:63bf:5601:5601",  # Teredo: the client's IPv4, inverted, is 169.254.169.254
    ],
)  # fmt: skip
def test_never_even_if_listed(address: str) -> None:
    assert judge(ip_address(address), 80, EVERYWHERE) is Verdict.NEVER


def test_the_list_names_network_and_port() -> None:
    allow = (parse_allowed("127.0.0.1/32:9000"), parse_allowed("10.0.0.0/8"), parse_allowed("[fd00:1::/32]:443"))
    assert judge(ip_address("127.0.0.1"), 9000, allow) is Verdict.ALLOWED
    assert judge(ip_address("127.0.0.1"), 9001, allow) is Verdict.PRIVATE
    assert judge(ip_address("127.0.0.2"), 9000, allow) is Verdict.PRIVATE
    assert judge(ip_address("10.200.0.1"), 1, allow) is Verdict.ALLOWED
    assert judge(ip_address("fd00:1::5"), 443, allow) is Verdict.ALLOWED
    assert judge(ip_address("fd00:1::5"), 80, allow) is Verdict.PRIVATE
    assert judge(ip_address("::ffff:10.0.0.1"), 80, allow) is Verdict.PRIVATE


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "host:80", "10.0.0.0/8:0", "10.0.0.0/8:http", "*"])
def test_what_is_no_entry(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_allowed(text)


def test_entries_without_a_length_name_one_address() -> None:
    assert parse_allowed("10.1.2.3:8080") == Allowed(parse_allowed("10.1.2.3/32").network, 8080)
    assert parse_allowed("fd00::1") == parse_allowed("fd00::1/128")


def test_zones_are_cut_off() -> None:
    assert parse_address("fe80::1%eth0") == IPv6Address("fe80::1")


ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)


@given(ADDRESSES)
def test_what_python_calls_private_is_never_public(address: IPv4Address | IPv6Address) -> None:
    verdict = judge(address, 80, ())
    if not address.is_global or address.is_multicast or address.is_link_local or address.is_loopback:
        assert verdict in (Verdict.PRIVATE, Verdict.NEVER)
    assert verdict is not Verdict.ALLOWED


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}"]))
def test_wrapping_an_address_never_makes_it_better(inner: IPv4Address, wrapping: str) -> None:
    wrapped = ip_address(wrapping.format(inner))
    if embedded(wrapped) is None:  # "::" and "::1"
        return
    assert embedded(wrapped) == inner
    assert judge(wrapped, 80, ()) in (Verdict.PRIVATE, Verdict.NEVER)
    if judge(inner, 80, EVERYWHERE) is Verdict.NEVER:
        assert judge(wrapped, 80, EVERYWHERE) is Verdict.NEVER
