import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from lm_envs.errors import ConfigurationError, DataError, UnknownNameError
from lm_envs.qa.questions import Question
from lm_envs.qa.sources import load_questions

SQUAD = {
    "context": "Tom has a red cat.",
    "question": "What colour?",
    "answers": {"text": ["red"], "answer_start": [10]},
}
CHOICE = {"question": "Which is a fruit?", "choices": ["lamp", "apple", "chair"], "answer": "apple"}
PLAIN = {"question": "2 + 2 =", "answer": 4}


def first(row: dict[str, Any], **kwargs: Any) -> Question:
    return load_questions([row], dataset_kwargs=kwargs)[0]


@pytest.mark.parametrize(
    ("answers", "gold"),
    [
        ({"text": ["red", "red", "a red cat"], "answer_start": [10, 10, 8]}, ("red", "a red cat")),
        ({"text": [], "answer_start": []}, ("unknown",)),
        (["red", "crimson"], ("red", "crimson")),
        ([], ("unknown",)),
        ("red", ("red",)),
        (" red ", ("red",)),
        (1987, ("1987",)),
    ],
)
def test_answers_of_squad(answers: Any, gold: tuple) -> None:
    question = first({**SQUAD, "answers": answers})
    assert question.answers == gold
    assert question.prompt == "Tom has a red cat. Question: What colour? Answer:"
    assert question.columns == {"context": SQUAD["context"], "question": SQUAD["question"]}


def test_silence_as_in_squad_2() -> None:
    questions = load_questions([{**SQUAD, "answers": []}], dataset_kwargs={"unanswerable": ""})
    assert questions[0].answers == ("",)
    assert questions.is_right(questions[0], "")
    assert not questions.is_right(questions[0], "red")


@pytest.mark.parametrize(
    ("choices", "answer", "gold"),
    [
        (["lamp", "apple"], "apple", "apple"),
        (["lamp", "apple"], 1, "apple"),
        (["lamp", "apple"], "1", "apple"),
        (["lamp", "apple"], "B", "apple"),
        (["lamp", "apple"], "b", "apple"),
        (["1", "0"], "1", "1"),  # the text goes before the number
        (["1", "0"], 1, "0"),  # an integer is a place, as in MMLU, whose choices can be digits
        (["1", "0"], 1.0, "0"),  # as pandas has integers
        (["b", "a"], "b", "b"),
        ([4, 5.5], 4, "4"),
        ([1, 0], 1, "1"),  # among numbers a number is a choice
        ({"text": ["lamp", "apple"], "label": ["A", "B"]}, "B", "apple"),
        ({"text": ["lamp", "apple"], "label": ["1", "2"]}, "1", "lamp"),
        ({"text": ["2", "1"], "label": ["1", "2"]}, "1", "2"),  # the label goes before the text
        ({"text": ["lamp", "apple"]}, 0, "lamp"),
    ],
)
def test_answers_of_multiple_choice(choices: Any, answer: Any, gold: str) -> None:
    questions = load_questions([{"question": "Which?", "choices": choices, "answer": answer}])
    assert questions[0].answers == (gold,)
    assert questions.max_choices == 2
    assert questions.default_reward == "choice_accuracy"
    letter = "AB"[questions[0].choices.index(gold)]
    assert questions.is_right(questions[0], f"({letter})")
    assert questions[0].prompt == "Question: Which?\nA. {}\nB. {}\nAnswer:".format(*questions[0].choices)


def test_several_right_choices() -> None:
    assert first({**CHOICE, "answer": ["apple", 0]}).answers == ("apple", "lamp")


def test_choices_differ_in_number() -> None:
    assert load_questions([CHOICE, {**CHOICE, "choices": ["apple", "pear"]}]).max_choices == 3


def test_plain() -> None:
    questions = load_questions([PLAIN])
    assert questions[0] == Question("Question: 2 + 2 = Answer:", ("4",), (), {"question": "2 + 2 ="})
    assert questions.max_choices == 0
    assert questions.default_reward == "exact_match"


def test_one_list_of_labels() -> None:
    rows = [{"text": "I like it.", "label": "good"}, {"text": "I hate it.", "label": "bad"}]
    kwargs = {"question_column": "text", "answer_column": "label", "choices": ["good", "bad"]}
    questions = load_questions(rows, dataset_kwargs={**kwargs, "template": "{text} It is"})
    assert [questions[i].prompt for i in range(2)] == ["I like it. It is", "I hate it. It is"]
    assert questions[1].answers == ("bad",)
    assert questions[1].choices == ("good", "bad")
    assert load_questions(rows, dataset_kwargs=kwargs)[0].prompt == "Question: I like it. Answer:"


def test_other_columns_stay() -> None:
    questions = load_questions([{**SQUAD, "title": "Cats"}], dataset_kwargs={"template": "{title}: {question}"})
    assert set(questions.columns) == {"context", "question", "title"}
    assert questions[0].columns["title"] == "Cats"
    assert questions[0].prompt == "Cats: What colour?"


def test_files_and_splits(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    rows = [{"question": f"{i} + 1 =", "answer": str(i + 1)} for i in range(60)]
    path.write_text("\n".join(map(json.dumps, rows)))
    parts = [load_questions(str(path), split) for split in ("train", "validation", "test")]
    assert sum(map(len, parts)) == 60
    assert len({part[i].prompt for part in parts for i in range(len(part))}) == 60
    (tmp_path / "q.csv").write_text("question,answer\nWho?,Tom\n")
    assert load_questions(tmp_path / "q.csv")[0].answers == ("Tom",)


def test_pickle() -> None:
    questions = load_questions([CHOICE])
    copy = pickle.loads(pickle.dumps(questions))
    assert copy[0] == questions[0]
    assert (copy.columns, copy.default_reward, copy.max_choices) == (("question",), "choice_accuracy", 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**CHOICE, "answer": "pear"}, r"row 2 of .* the answer 'pear'; expected one of the choices \['lamp'"),
        ({**CHOICE, "answer": 3}, "the answer 3; .* a number from 0 to 2, or a letter"),
        ({**CHOICE, "answer": "D"}, "the answer 'D'"),
        ({**CHOICE, "answer": True}, "the answer True"),
        ({**CHOICE, "answer": -1}, "the answer -1"),
        ({**CHOICE, "answer": []}, "row 2 of .* has no answer"),
        ({**CHOICE, "choices": ["lamp", "lamp", "apple"]}, "row 2 of .* has the choice 'lamp' twice"),
        ({**CHOICE, "choices": ["apple"]}, "at least two texts"),
        ({**CHOICE, "choices": "apple, lamp"}, "at least two texts"),
        ({**CHOICE, "choices": ["apple", " "]}, "empty choice"),
        ({**CHOICE, "choices": "['apple', 'lamp']"}, "Where a file cannot hold lists, as CSV cannot, write JSON lines"),
        ({**CHOICE, "choices": None}, "has the choices None.*All rows need them"),
        ({**CHOICE, "choices": []}, r"row 2 of .* has the choices \[\]; expected a list of at least two texts"),
        ({**CHOICE, "choices": [1, 2], "answer": 0}, r"the answer 0; .*\['1', '2'\], as they are numbers"),
        ({**CHOICE, "choices": {"text": ["a", "b"], "label": ["A", "A"]}}, "labels have to differ"),
        ({**CHOICE, "choices": {"label": ["A"]}}, "expected the keys 'text' and 'label'"),
        ({**CHOICE, "choices": {"text": ["a", "b"], "label": ["A"]}}, "1 labels for 2 choices"),
        ({**CHOICE, "choices": {"text": ["a", "b"], "label": ["A", "B"]}}, r"'apple'; .*the labels \['A', 'B'\]"),
        ({**CHOICE, "question": " "}, "row 2 of .* has ' ' in the column 'question'"),
        ({**CHOICE, "question": None}, "has None in the column 'question'"),
    ],
)
def test_bad_rows_of_multiple_choice(row: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_questions([CHOICE, row])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**SQUAD, "answers": None}, "row 2 of .* has no answer; a question without answer has an empty list"),
        ({**SQUAD, "answers": float("nan")}, "has no answer"),
        ({**SQUAD, "answers": [""]}, "row 2 of .* has an empty answer.*question without answer has an empty list"),
        ({**SQUAD, "answers": {"txt": []}}, "a mapping with the key 'text'"),
        ({**SQUAD, "answers": [["red"]]}, r"the answer \['red'\] \(list\)"),
        ({**SQUAD, "context": ""}, "has '' in the column 'context'"),
    ],
)
def test_bad_rows_of_squad(row: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_questions([SQUAD, row])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"qestion": "a", "answer": "b"}], "unknown column 'question'. Did you mean 'qestion'.*question_column="),
        ([{"question": "a", "reply": "b"}], "unknown column 'answer'.*Known: question, reply.*answer_column="),
        ([{**PLAIN, "extracted": "x"}], "a column named 'extracted', which the environment brings itself"),
        ([], "is empty"),
    ],
)
def test_bad_columns(rows: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_questions(rows)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"template": "{contxt}: {question}"}, "unknown field 'contxt'. Did you mean 'context'"),
        ({"template": "{question} {choices}"}, "unknown field 'choices'"),
        ({"template": "{question"}, "is malformed"),
        ({"template": "question"}, "shows nothing of a question"),
        ({"template": "{question:d}"}, "cannot be filled: Unknown format code 'd'.*Leave out what stands behind"),
        ({"template": "{question!z}"}, "cannot be filled: Unknown conversion"),
        ({"template": 3}, "has to be a text, got 3"),
        ({"choices": "red"}, "choices has to be a list of texts, got 'red'"),
        ({"choices": ["red", "red"]}, "the choice 'red' twice"),
        ({"question": "question"}, "unknown argument of the dataset .* 'question'. Did you mean 'question_column'"),
        ({"split": "test"}, "unknown argument of the dataset"),
    ],
)
def test_bad_arguments(kwargs: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_questions([SQUAD], dataset_kwargs=kwargs)


def test_no_such_file() -> None:
    with pytest.raises(DataError, match="there is no file or folder './nowhere.jsonl'"):
        load_questions("./nowhere.jsonl")
    with pytest.raises(UnknownNameError, match="unknown dataset of questions 'pasages'. Did you mean 'passages'"):
        load_questions("pasages")
