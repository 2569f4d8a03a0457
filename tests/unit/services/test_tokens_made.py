"""Tokens: their shape finds typing errors before the database is asked."""

from appliance.services.tokens import make_token, well_formed


def test_a_token_is_well_formed() -> None:
    token = make_token()
    assert (len(token), token[:5]) == (43, "dash_")  # 5 + 32 + 6
    assert well_formed(token)


def test_the_checksum_is_fixed_for_ever() -> None:
    assert well_formed("dash_" + "0" * 32 + "2wjyrI")  # CRC-32 of the 32 zeros in base 62


def test_a_typing_error_is_found() -> None:
    token = make_token()
    for place in range(5, len(token)):
        other = "x" if token[place] != "x" else "y"
        assert not well_formed(token[:place] + other + token[place + 1 :])
    for wrong in ("", "dash_", token[:-1], token + "0", token.upper(), " " + token, "dash_" + "é" * 38):
        assert not well_formed(wrong)
