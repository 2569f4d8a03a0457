import pytest

from appliance.domain.mapping import Field, FieldType, Mapping
from ui.documents import line_of, mapping_document, pretty

TEXT = """{
  "name": "a, \\"b\\" {",
  "mapping": {"where": "x",
    "fields": [
      {"name": "one", "type": "string"},

      {"name": "two",
       "ty~p/e": "float"}
    ]
  }
}"""


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("", 1),
        ("/name", 2),
        ("/mapping", 3),
        ("/mapping/where", 3),
        ("/mapping/fields", 4),
        ("/mapping/fields/0", 5),
        ("/mapping/fields/1/name", 7),
        ("/mapping/fields/1/ty~0p~1e", 8),
        ("/mapping/fields/1/missing", 7),  # what is left of it: the field itself
        ("/mapping/fields/7", 4),
        ("/nothing/here", 1),
    ],
)
def test_a_pointer_leads_to_its_line(pointer: str, line: int) -> None:
    assert line_of(TEXT, pointer) == line


def test_whole_bounds_are_written_as_people_write_them() -> None:
    field = Field(name="a", type=FieldType.FLOAT, path="$.a", min=0, max=2.5)
    assert mapping_document(Mapping(fields=[field]))["fields"] == [
        {"name": "a", "type": "float", "path": "$.a", "min": 0, "max": 2.5}
    ]


def test_text_for_people_keeps_letters() -> None:
    assert pretty({"unit": "°C"}) == '{\n  "unit": "°C"\n}'
