"""Headlines of passages."""

import numpy as np
import pytest

from lm_envs.errors import UnknownNameError
from lm_envs.rewards import get
from lm_envs.world import check_passage
from lm_envs.world.headlines import NEWS, generate, headline, headline_items, headline_prompt
from lm_envs.world.passages import FRAMES, Fact, passage_grammar
from lm_envs.world.splits import split_of

SPLITS = ("train", "validation", "test")

NURSE = Fact("Anna", "job", {"job": "nurse"}, "Anna is a nurse.")
WRITER = Fact("Tom", "job", {"job": "writer"}, "Tom works as a writer.")
OAKTON = Fact("Anna", "home", {"town": "Oakton"}, "She lives in Oakton.")
SAILOR = Fact(
    "Anna", "meet", {"friend": "sailor", "place": "park", "time": "six"}, "She met a sailor at the park at six."
)
UMBRELLA = Fact("Anna", "find", {"object": "umbrella", "spot": "tree"}, "She saw an umbrella under the tree.")
MAP = Fact(
    "Tom", "buy", {"object": "map", "store": "market", "day": "Monday"}, "He bought a map at the market on Monday."
)
GOAT = Fact("Tom", "pet", {"animal": "goat", "colour": "red"}, "He has a red goat.")
FLUTE = Fact("Anna", "hobby", {"hobby": "flute"}, "She plays the flute in the evening.")
TRAIN = Fact("Anna", "travel", {"transport": "train"}, "She goes to work by train.")
SOUP = Fact("Anna", "meal", {"food": "soup"}, "For lunch she always has soup.")
TEA = Fact("Tom", "drink", {"drink": "tea"}, "In the morning he drinks tea.")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([NURSE, OAKTON, SAILOR], "Nurse Anna from Oakton meets a sailor at the park."),
        ([UMBRELLA, NURSE], "Nurse Anna spots an umbrella under the tree."),
        ([OAKTON, UMBRELLA, SAILOR], "Anna from Oakton meets a sailor at the park."),
        ([UMBRELLA, WRITER, MAP], "Anna spots an umbrella under the tree."),  # another's job is not hers
        ([NURSE, FLUTE, WRITER, MAP], "Writer Tom buys a map at the market."),
        ([FLUTE, OAKTON, GOAT], "Tom has a red goat."),
        ([TRAIN, FLUTE], "Anna plays the flute."),
        ([SOUP, TRAIN, TEA], "Anna goes to work by train."),
        ([TEA, SOUP], "Anna eats soup for lunch."),
        ([TEA, WRITER], "Writer Tom drinks tea in the morning."),
        ([NURSE, OAKTON], "Nurse Anna lives in Oakton."),  # where she lives is the news, and not told twice
        ([NURSE], "Anna works as a nurse."),
    ],
)
def test_known_headlines(facts, expected):
    assert headline(facts) == expected
    assert headline(facts[::-1]) == expected  # the order of the passage does not matter


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([NURSE, OAKTON, SAILOR], "Anna meets a sailor at the park."),
        ([TEA, WRITER], "Tom drinks tea in the morning."),
        ([NURSE, OAKTON], "Anna lives in Oakton."),
    ],
)
def test_brief_headlines_have_neither_job_nor_town(facts, expected):
    assert headline(facts, brief=True) == expected


def test_items_have_both_headlines():
    items = headline_items("test")
    assert all(set(item.brief.split()[1:]) <= set(item.text.split()) for item in items)
    assert 0.3 < np.mean([item.brief != item.text for item in items]) < 0.8


def test_every_frame_has_news():
    assert set(NEWS) == set(FRAMES)


@pytest.mark.parametrize("split", SPLITS)
def test_items_are_passages_with_faithful_headlines(split):
    items = headline_items(split)
    names = get("faithfulness")
    assert set(names([""] * len(items), [item.text for item in items], source=[i.passage for i in items])) == {1.0}
    for item in items:
        report = check_passage(item.passage)
        assert report.complete or "repeats" in report.reason, item.passage  # two women may have the same hobby
        assert item.text.endswith(".") and item.text.count(".") == 1 and item.text[0].isupper()
        assert item.prompt == headline_prompt(item.passage) == f"{item.passage} Headline:"
        assert split_of(item.prompt) == split


def test_days_and_times_are_left_out():
    left_out = {" ".join(o.symbols) for slot in ("day", "time") for o in passage_grammar().alternatives(f"{{{slot}}}")}
    for item in headline_items("validation"):
        assert not left_out & set(item.text.rstrip(".").split()), item


def test_splits_are_disjoint_fixed_and_full():
    items = {split: headline_items(split) for split in SPLITS}
    assert [len(items[split]) for split in SPLITS] == [4096, 512, 512]
    prompts = [item.prompt for split in SPLITS for item in items[split]]
    assert len(set(prompts)) == len(prompts)
    assert items["validation"][0] == headline_items("validation")[0]


@pytest.mark.parametrize("split", SPLITS)
def test_generated_passages_are_of_their_split(split):
    twins = [[generate(np.random.default_rng(3), split) for _ in range(2)] for _ in range(2)]
    assert twins[0] == twins[1]
    assert split_of(twins[0][0].prompt) == split


@pytest.mark.parametrize("ask", [headline_items, lambda split: generate(np.random.default_rng(0), split)])
def test_unknown_split(ask):
    with pytest.raises(UnknownNameError, match="unknown split 'tests'. Did you mean 'test'"):
        ask("tests")
