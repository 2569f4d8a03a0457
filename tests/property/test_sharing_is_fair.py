"""Sharing: whoever comes and goes, everything is held by somebody, evenly, and then nothing moves any more."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.sharing import share

NODES = st.lists(st.sampled_from("abcdefg"), unique=True, min_size=1, max_size=6)
THINGS = st.integers(0, 40).map(lambda count: [f"t{number}" for number in range(count)])


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[str], dict[str, str | None], list[str]]:
    """Things, who holds them (perhaps somebody who is gone, which has been freed), and the nodes there are."""
    things, nodes = draw(THINGS), draw(NODES)
    owners = st.one_of(st.none(), st.sampled_from(nodes))
    return things, {thing: draw(owners) for thing in things}, nodes


def settle(things: list[str], holders: dict[str, str | None], nodes: list[str], rounds: int = 4) -> int:
    """Let every node act in turn, some rounds long; return the moves in all."""
    moves = 0
    for _ in range(rounds):
        for node in nodes:
            move = share(things, holders, nodes, node)
            assert not (move.release and move.acquire)
            for thing in move.release:
                assert holders[thing] == node
                holders[thing] = None
            for thing in move.acquire:
                assert holders[thing] is None
                holders[thing] = node
            moves += len(move.release) + len(move.acquire)
    return moves


@given(situations())
def test_everything_comes_to_be_held_and_evenly(situation: tuple[list[str], dict[str, str | None], list[str]]) -> None:
    things, holders, nodes = situation
    settle(things, holders, nodes)
    held = Counter(dict.fromkeys(nodes, 0))
    held.update(str(holder) for holder in holders.values())
    assert None not in holders.values()
    assert set(held) == set(nodes)
    assert max(held.values()) - min(held.values()) <= 1


@given(situations())
def test_once_it_is_fair_nothing_moves(situation: tuple[list[str], dict[str, str | None], list[str]]) -> None:
    things, holders, nodes = situation
    settle(things, holders, nodes)
    assert settle(things, holders, nodes, rounds=2) == 0


@given(situations(), st.sampled_from("hijk"))
def test_a_node_that_joins_moves_no_more_than_its_part(
    situation: tuple[list[str], dict[str, str | None], list[str]], newcomer: str
) -> None:
    things, holders, nodes = situation
    settle(things, holders, nodes)
    before = dict(holders)
    settle(things, holders, [*nodes, newcomer])
    moved = [thing for thing in things if holders[thing] != before[thing]]
    assert all(holders[thing] == newcomer for thing in moved)
    assert len(moved) in (len(things) // (len(nodes) + 1), -(-len(things) // (len(nodes) + 1)))


@given(situations())
def test_a_node_that_leaves_takes_nothing_from_the_others(
    situation: tuple[list[str], dict[str, str | None], list[str]],
) -> None:
    things, holders, nodes = situation
    settle(things, holders, nodes)
    leaving, before = nodes[0], dict(holders)
    for thing in share(things, holders, nodes[1:], leaving).release:
        holders[thing] = None
    if len(nodes) == 1:
        assert set(holders.values()) <= {None}
        return
    settle(things, holders, nodes[1:])
    assert all(holders[thing] == before[thing] for thing in things if before[thing] != leaving)
    assert leaving not in holders.values()


@given(situations())
def test_all_at_once_never_reach_for_more_than_there_is(
    situation: tuple[list[str], dict[str, str | None], list[str]],
) -> None:
    """Everybody decides on the same view: what they take adds up to what all should have, at most."""
    things, holders, nodes = situation
    wanted = sum(len(share(things, holders, nodes, node).acquire) for node in nodes)
    free = sum(holder is None for holder in holders.values())
    surplus = sum(len(share(things, holders, nodes, node).release) for node in nodes)
    assert free <= wanted <= free + surplus or wanted == free + surplus
