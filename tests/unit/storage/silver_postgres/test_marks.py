"""What a standby must have replayed to show what this process told of."""

from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres.marks import Marks

ONE, OTHER = PipelineId("pl_1"), PipelineId("pl_2")


def test_each_pipeline_has_its_own_and_it_never_goes_back() -> None:
    marks = Marks()
    assert marks.needed(ONE) == 0
    marks.note(ONE, 500)
    marks.note(ONE, 400)  # two commits at once, told in the other order
    assert (marks.needed(ONE), marks.needed(OTHER)) == (500, 0)


def test_of_a_commit_that_nobody_knows_the_place_of_no_standby_is_good_enough() -> None:
    marks = Marks()
    marks.note(ONE, 500)
    marks.doubt(ONE)
    marks.note(ONE, 600)  # of another commit
    assert marks.needed(ONE) is None
    marks.settle(marks.doubts(), 700)
    assert marks.needed(ONE) == 700


def test_a_place_asked_for_before_a_doubt_does_not_settle_it() -> None:
    marks = Marks()
    marks.doubt(ONE)
    before = marks.doubts()
    marks.doubt(ONE)
    marks.settle(before, 700)
    assert marks.needed(ONE) is None
    marks.settle(marks.doubts(), 650)
    assert marks.needed(ONE) == 650
