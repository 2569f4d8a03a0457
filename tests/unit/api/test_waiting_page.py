"""What a browser shows of a node that is not whole yet."""

from appliance.api.waiting_page import waiting_page


def test_it_says_why_and_how_far_and_nothing_it_is_told_is_markup() -> None:
    page = waiting_page("this is <being> moved", 0.256).decode()
    assert "<h1>This appliance is being moved</h1>" in page
    assert '<p role="status">This is &lt;being&gt; moved.</p>' in page
    assert 'value="0.2560"' in page
    assert "http-equiv" in page
    waiting = waiting_page("its database is away", None).decode()
    assert "<h1>This appliance is not whole yet</h1>" in waiting
    assert "<progress" not in waiting
