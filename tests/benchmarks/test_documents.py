"""README and pages say what was measured, and nothing else."""

from __future__ import annotations

import re

import pytest

from benchmarks import documents

PATHS = documents.documents()
TEXTS = {path: path.read_text(encoding="utf-8") for path in PATHS}
MEASURED = re.compile(
    r"""[\d.,]*\d\s*(?:
        tokens?/s | transitions/s | tokens\ (?:per|a)\ second | steps/s | GiB | MiB | nats
        | %(?!\s+(?:bootstrap\s+)?interval)
        | (?:times|x)\s+(?:as|faster|slower|quicker|more|less|the\ speed)
        | ±
    )""",
    re.X,
)


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_measured_parts_are_those_of_the_result_files(path):
    assert documents.updated(TEXTS[path], path) == TEXTS[path], "run: python -m benchmarks.documents"


def test_every_part_stands_in_a_document_and_every_comment_is_a_part():
    found = [name for text in TEXTS.values() for name in documents.names(text)]
    assert set(found) == set(documents.PARTS)
    assert len(found) == sum(text.count("<!--") for text in TEXTS.values()) / 2


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_no_measured_number_stands_outside_of_the_parts(path):
    text = re.sub(r"<!-- ([\w -]+): .*?<!-- end of \1 -->", "", TEXTS[path], flags=re.S)
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
    assert not MEASURED.findall(text)


@pytest.mark.parametrize(
    "text", ["6 tokens/s", "1,234 tokens per second", "2.5 times as fast", "3x faster", "0.5 GiB", "12%"]
)
def test_what_is_taken_for_a_measured_number(text):
    assert MEASURED.search(text)


def test_a_part_of_another_name_is_reported():
    with pytest.raises(ValueError, match="no part is called 'speeds'; expected one of 'learning'"):
        documents.updated("<!-- speeds: written by `python -m benchmarks.documents` -->\n", PATHS[0])


def test_a_part_without_an_end_is_reported():
    with pytest.raises(ValueError, match="expected one part 'speed' with an end, found 0"):
        documents.updated("<!-- speed: written by `python -m benchmarks.documents` -->\n| 1 |\n", PATHS[0])


def test_a_part_is_replaced_and_what_is_around_it_is_not():
    begin, end = "<!-- speed: written by `python -m benchmarks.documents` -->\n", "<!-- end of speed -->"
    made = documents.updated(f"before\n{begin}999 tokens/s\n{end}\nafter\n", PATHS[0])
    assert made.startswith(f"before\n{begin}Rollout and update") and made.endswith(f"|\n{end}\nafter\n")
    assert "999" not in made
