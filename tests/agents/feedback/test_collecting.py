import pytest

from agents.cli.targets import find_source
from agents.feedback.collecting import sample_items
from lm_envs.errors import ConfigurationError, DataError


@pytest.fixture(scope="module")
def writer(lm_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "prompts.csv"
    path.write_text("prompt\n" + "".join(f"the cat {i}\n" for i in range(12)))
    arguments = {"dataset": str(path), "reward": "distinct", "max_prompt_tokens": 16, "max_new_tokens": 6}
    return find_source(lm_folder, None, arguments).load("cpu")


def test_items_have_different_completions_and_their_sources(writer):
    items = sample_items({"a": writer}, 5, 3)
    assert len(items) == len({item.prompt for item in items}) == 5
    assert all(item.prompt.startswith("the cat") for item in items)
    assert all(item.sources == ("a",) * len(item.completions) for item in items)
    assert max(len(item.completions) for item in items) == 3


def test_policies_take_turns(writer):
    items = sample_items({"old": writer, "new": writer}, 5, 3)
    assert {item.sources for item in items if len(item.completions) == 3} == {("old", "old", "new")}


def test_one_seed_gives_one_set_of_items(writer):
    assert sample_items({"a": writer}, 5, seed=1) == sample_items({"a": writer}, 5, seed=1)
    assert sample_items({"a": writer}, 5, seed=1) != sample_items({"a": writer}, 5, seed=2)


def test_the_split_has_its_own_prompts(writer):
    train, test = ({i.prompt for i in sample_items({"a": writer}, 99, split=split)} for split in ("train", "test"))
    assert train and test and not train & test


def test_equal_completions_are_nothing_to_choose_from(writer):
    with pytest.raises(DataError, match="all completions of each of the 3 prompts are equal"):
        sample_items({"a": writer}, 3, temperature=1e-6)


@pytest.mark.parametrize(("n_completions", "names"), [(1, "a"), (5, "a"), (2, "abc"), (2, "")])
def test_numbers_of_completions_that_do_not_fit(writer, n_completions, names):
    with pytest.raises(ConfigurationError, match=f"got {n_completions} completions of {len(names)} policies"):
        sample_items(dict.fromkeys(names, writer), 3, n_completions)


def test_policies_with_other_prompts_cannot_be_compared(writer):
    kwargs = {**writer.env_kwargs, "dataset": [f"a dog {i}" for i in range(12)]}
    other = type(writer)(writer.policy, writer.env_id, kwargs)
    with pytest.raises(ConfigurationError, match="other prompts"):
        sample_items({"a": writer, "b": other}, 3)


def test_conversations_of_several_turns_cannot_be_compared(lm_folder):
    short = {"max_turns": 2, "max_tokens": 200, "max_turn_tokens": 2}
    talker = find_source(lm_folder, "Dialogue-v0", short).load("cpu")
    with pytest.raises(ConfigurationError, match="first turns: -E max_turns=1"):
        sample_items({"a": talker}, 1)
