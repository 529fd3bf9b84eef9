import pickle
from collections import Counter

import pytest

from lm_envs import rewards
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.qa.sources import load_questions
from lm_envs.qa.sources.labels import LabelQuestions
from lm_envs.world import passage_items

LABEL_TASKS = ("sentiment", "topic", "intent", "relation")
SPLITS = ("train", "validation", "test")


class TestPassages:
    def test_as_the_embedded_model_knows_them(self) -> None:
        questions = load_questions("passages", "test")
        passage = passage_items("test")[0]
        assert len(questions) == 512
        assert questions[0].prompt == passage.prompt
        assert questions[0].prompt.endswith("Answer:")
        assert questions[0].answers == (passage.question.answer,)
        assert questions[0].columns == {
            "context": passage.text,
            "question": passage.question.text,
            "support": passage.question.support,
        }

    def test_some_have_no_answer(self) -> None:
        questions = load_questions("passages", "validation")
        unknown = [q for q in map(questions.__getitem__, range(len(questions))) if q.answers == ("unknown",)]
        assert 0.15 < len(unknown) / len(questions) < 0.35
        assert all(question.columns["support"] == "" for question in unknown)

    def test_an_answer_is_right_with_its_full_stop(self) -> None:
        questions = load_questions("passages", "test")
        gold = questions[0].answers[0]
        assert questions.is_right(questions[0], f" {gold.upper()}.")
        assert not questions.is_right(questions[0], "no idea")

    def test_template(self) -> None:
        questions = load_questions("passages", "test", dataset_kwargs={"template": "Q: {question}\nT: {context}\nA:"})
        assert questions[0].prompt.startswith("Q: ")
        assert questions[0].prompt.endswith("\nA:")


@pytest.mark.parametrize("name", LABEL_TASKS)
class TestLabels:
    def test_each_label_is_as_frequent(self, name: str) -> None:
        for split in SPLITS:
            questions = load_questions(name, split)
            counts = Counter(questions[i].answers[0] for i in range(len(questions)))
            assert set(counts) == set(questions[0].choices)
            assert len(set(counts.values())) == 1
            assert len(questions) >= (1600 if split == "train" else 160)
            assert questions.max_choices == len(questions[0].choices)

    def test_no_text_is_in_two_splits(self, name: str) -> None:
        texts = []
        for split in SPLITS:
            questions = load_questions(name, split)
            texts += {questions[i].columns["text"].translate({91: "", 93: ""}) for i in range(len(questions))}
        assert len(set(texts)) == len(texts)

    def test_prompt(self, name: str) -> None:
        question = load_questions(name, "test")[0]
        assert question.prompt.startswith(question.columns["text"] + " Question: ")
        assert question.prompt.endswith("? Answer:")
        assert question.answers[0] in question.choices

    def test_always_the_same(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        first = load_questions(name, "test")
        monkeypatch.setattr(LabelQuestions, "_drawn", {})
        again = load_questions(name, "test")
        assert [first[i] for i in range(len(first))] == [again[i] for i in range(len(again))]
        assert pickle.loads(pickle.dumps(first))[7] == again[7]


def test_sentiment_follows_the_words() -> None:
    questions = load_questions("sentiment", "test")
    asked = [questions[i] for i in range(len(questions))]
    scores = rewards.get("sentiment")([""] * len(asked), [question.columns["text"] for question in asked])
    right = [(score > 0.5) == (q.answers[0] == "positive") for score, q in zip(scores, asked, strict=True)]
    assert sum(right) / len(right) > 0.8


def test_marks_choose_the_relation() -> None:
    questions = load_questions("relation", "train")
    texts = {questions[i].columns["text"]: questions[i].answers[0] for i in range(len(questions))}
    assert all(text.count("[") == text.count("]") == 2 for text in texts)
    assert {texts[t] for t in texts if "bought" in t} == {"bought", "shopped at"}
    assert all("market] " not in t and "[station" not in t for t in texts if texts[t] == "bought")


@pytest.mark.parametrize("name", ["passages", *LABEL_TASKS])
def test_bad_arguments(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown split 'tset'. Did you mean 'test'"):
        load_questions(name, "tset")
    with pytest.raises(ConfigurationError, match="unknown field 'contxt'.*Double a brace"):
        load_questions(name, dataset_kwargs={"template": "{contxt}"})
    with pytest.raises(
        ConfigurationError, match=rf"dataset_kwargs: unknown argument of the dataset '{name}' 'tmplate'"
    ):
        load_questions(name, dataset_kwargs={"tmplate": "x"})
