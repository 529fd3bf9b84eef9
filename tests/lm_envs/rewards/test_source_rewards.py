"""Rewards for keeping to a source, on cases that were computed by hand."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from lm_envs import rewards
from lm_envs.errors import ConfigurationError, DataError

SOURCE = "Anna is a nurse. She lives in Oakton. At seven she met a sailor, who paid 1,250 euros."


def score(name: str, completion: str | None, source: Any = SOURCE) -> float:
    return rewards.get(name)(prompts=["Tell it."], completions=[completion], source=[source])[0]


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        (SOURCE, 1.0),
        ("Nurse Anna from Oakton meets a sailor.", 1.0),  # nurse, anna, oakton
        ("Laura from Oakton meets a sailor.", 1 / 2),  # oakton of laura, oakton
        ("Singer Anna from Milford meets Tom.", 1 / 4),  # anna of singer, anna, milford, tom
        ("Anna's sailor", 1.0),
        ("ANNA met a SAILOR", 1.0),
        ("In Oakton I met Anna.", 1.0),  # "In" and "I" are function words
        ("Anna, Anna and Anna met Laura.", 1 / 2),  # different names count
        ("She paid 1250 euros at 7.", 1.0),
        ("She paid 1,250 euros at eight.", 1 / 2),
        ("Twenty sailors", 0.0),
        ("She has one sailor.", 1.0),  # "one" is no number word
        ("she met a sailor", 1.0),  # nothing that could be invented
        ("a cat sleeps", 1.0),  # "a" is in the source
        ("cats sleep", 0.0),
        ("Xyzzy plugh", 0.0),
        ("@#~ %% $$", 0.0),
        ("", 0.0),
        (" \n", 0.0),
        (None, 0.0),
    ],
)
def test_faithfulness(completion: str | None, value: float) -> None:
    assert score("faithfulness", completion) == pytest.approx(value)


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        (SOURCE, 1.0),
        ("A NURSE, a sailor!", 1.0),
        ("Nurse Anna from Oakton meets a sailor.", 5 / 7),  # all but from, meets
        ("sailor nurse cat cat", 1 / 2),
        ("xyzzy plugh", 0.0),
        ("@#~ %% $$", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_coverage(completion: str | None, value: float) -> None:
    assert score("coverage", completion) == pytest.approx(value)


def greedy_coverage(words: list[str], source: list[str]) -> float:
    """The fragments as Grusky et al. define them (figure 3 of the paper), to the letter."""
    fragments, i = [], 0
    while i < len(words):
        longest = 0
        for j in range(len(source)):
            n = 0
            while i + n < len(words) and j + n < len(source) and words[i + n] == source[j + n]:
                n += 1
            longest = max(longest, n)
        fragments.append(longest)
        i += max(longest, 1)
    return sum(fragments) / len(words)


@pytest.mark.parametrize("text", ["anna met a sailor in oakton", "a a b she lives c in lives", "x", "at seven anna"])
def test_coverage_is_the_papers(text: str) -> None:
    source = "anna is a nurse she lives in oakton at seven she met a sailor".split()
    assert score("coverage", text, " ".join(source)) == pytest.approx(greedy_coverage(text.split(), source))


@pytest.mark.parametrize("name", ["faithfulness", "coverage"])
class TestSources:
    def test_the_prompt_is_the_source_where_there_is_no_other(self, name: str) -> None:
        reward = rewards.get(name)
        assert reward(["In Oakton"], ["Oakton"]) == [1.0]
        assert reward(["In Oakton"] * 3, ["Oakton"] * 3, source=[None, "In Milford", []]) == [1.0, 0.0, 1.0]

    def test_several_texts_are_one_source(self, name: str) -> None:
        assert score(name, "Oakton Milford", ["In Oakton", "In Milford"]) == 1.0

    def test_other_column(self, name: str) -> None:
        function = rewards.make_reward(f"{name}:column=article").terms[0].function
        assert function(["p"], ["Oakton"], article=["In Oakton"]) == [1.0]

    def test_wrong_type(self, name: str) -> None:
        with pytest.raises(DataError, match=f"the reward '{name}' expects a text or a list of texts"):
            score(name, "a", {"text": "a"})

    def test_unknown_parameter(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match="Did you mean 'column'"):
            rewards.make_reward(f"{name}:colum=article")

    def test_pickle_and_batch(self, name: str) -> None:
        reward = pickle.loads(pickle.dumps(rewards.get(name)))
        assert reward == rewards.get(name)
        assert reward(["p"] * 3, ["", SOURCE, None], source=[SOURCE] * 3) == [0.0, 1.0, 0.0]
