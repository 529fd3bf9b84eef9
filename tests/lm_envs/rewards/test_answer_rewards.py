"""Rewards for answers that can be checked: what each says about cases that were worked out by hand."""

import pickle
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_envs import rewards
from lm_envs.errors import ConfigurationError, RewardError, UnknownNameError
from lm_envs.rewards.answers import normalize_answer
from lm_envs.rewards.choices import choice_named
from lm_envs.rewards.numeric import last_number, read_number

GARBAGE = ["@#~ %% $$", "", "  \n", None]
SUPPORT = "Tom bought a red lamp at the station on Friday."


def score(spec: str, completion: str | None, **columns: list) -> float | None:
    return rewards.make_reward(spec).terms[0].function(["p"], [completion], **columns)[0]


# answer, gold answers, exact match, F1: worked out by hand by the definitions of SQuAD 1.1 and 2.0
SQUAD = [
    ("the cat", ["cat"], 1, 1),
    ("The Cat!", ["a cat"], 1, 1),
    ("cats", ["cat"], 0, 0),
    ("red cat", ["cat"], 0, 2 / 3),  # precision 1/2, recall 1
    ("cat", ["the big red cat"], 0, 1 / 2),  # precision 1, recall 1/3
    ("red red cat", ["red cat cat"], 0, 2 / 3),  # 2 of 3 words each
    ("in the year 1987", ["1987", "year 1987"], 0, 4 / 5),  # in year 1987 and year 1987: 2/3 and 1
    ("well-known", ["wellknown"], 1, 1),
    ("well known", ["well-known"], 0, 0),
    ("U.S.", ["us"], 1, 1),
    ("Beyoncé", ["Beyonce"], 0, 0),
    ("$1,000", ["1000"], 1, 1),
    ("an apple a day", ["apple day"], 1, 1),
    ("theatre", ["atre"], 0, 0),  # an article is a whole word
    ("  red \n lamp ", ["red lamp"], 1, 1),
    (" red.", ["red"], 1, 1),
    ("", ["red"], 0, 0),
    ("", [""], 1, 1),  # SQuAD 2.0: no answer, and none was given
    ("red", [""], 0, 0),
    ("", ["", "red"], 1, 1),
    ("unknown", ["unknown"], 1, 1),
]


@pytest.mark.parametrize(("answer", "gold", "exact", "f1"), SQUAD)
class TestSquad:
    def test_definitions(self, answer: str, gold: list, exact: float, f1: float) -> None:
        assert score("exact_match", answer, reference=[gold]) == exact
        assert score("token_f1", answer, reference=[gold]) == pytest.approx(f1)

    def test_the_extracted_answer_is_judged(self, answer: str, gold: list, exact: float, f1: float) -> None:
        columns = {"reference": [gold], "extracted": [answer]}
        assert score("exact_match", f"I think <answer>{answer}</answer>", **columns) == exact
        assert score("token_f1", gold[0], **columns) == pytest.approx(f1)


def test_one_difference_to_the_script() -> None:
    # there, "+", "-", "The" and silence are all the same empty answer
    assert normalize_answer("+") == "+"
    assert normalize_answer("The") == "the"
    assert score("exact_match", "-", reference=["+"]) == 0
    assert score("exact_match", "...", reference=[""]) == 0


def test_overlap_with_a_text_is_not_about_the_answer() -> None:
    assert score("chrf", "red lamp", reference=["red lamp"], extracted=["no"]) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("42", 42), (" 42. ", 42), ("-3", -3), ("−3", -3), ("+3", 3), ("- 3", -3), ("007", 7)),  # noqa: RUF001
        *(("1,234", 1234), ("1,234,567.5", Fraction("1234567.5")), ("12,34", None), ("1234,567", None)),
        *((".5", Fraction(1, 2)), ("0.5", Fraction(1, 2)), ("5.", 5), ("1.2.3", None)),
        *(("3/4", Fraction(3, 4)), ("-3/4", Fraction(-3, 4)), ("1 1/2", Fraction(3, 2)), ("-1 1/2", Fraction(-3, 2))),
        *((r"\frac{3}{4}", Fraction(3, 4)), (r"$\dfrac{3}{4}$", Fraction(3, 4)), (r"1\frac{1}{2}", Fraction(3, 2))),
        *(("1/0", None), ("1e400", None), ("1e-400", None), ("9" * 500, None)),
        *(("1e3", 1000), ("1.5E-2", Fraction(3, 200)), ("1.5 x 10^3", 1500), (r"2 \times 10^{-1}", Fraction(1, 5))),
        *(("50%", Fraction(1, 2)), (r"50\%", Fraction(1, 2)), ("$5", 5), ("-$5", -5), ("€ 5.20", Fraction("5.2"))),
        *(("5 €", 5), ("five", None), ("5 apples", None), ("x = 5", None), ("", None), ("nan", None), ("inf", None)),
    ],
)
def test_numbers(text: str, value: Any) -> None:
    assert read_number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("I have 3 apples and 4 pears.", 4),
        ("2 + 3 = 5.", 5),
        ("It costs $1,250.50, no more.", Fraction("1250.5")),
        ("1, 2, 3", 3),
        ("x-3", 3),
        ("it is -3", -3),
        ("v1.2", None),
        ("none", None),
    ],
)
def test_last_number(text: str, value: Any) -> None:
    assert last_number(text) == value


@given(number=st.fractions(max_denominator=1000), decimal=st.decimals(-(10**6), 10**6, places=4))
def test_what_was_written_is_the_same_number(number: Fraction, decimal: Any) -> None:
    assert read_number(str(number)) == number
    assert read_number(f"{decimal:,}") == Fraction(decimal) == read_number(f"{decimal:e}")


@given(text=st.text() | st.text(st.sampled_from("0123456789.,/%$e+- \\frac{}x^")))
def test_every_text_is_a_number_or_none(text: str) -> None:
    assert read_number(text) is None or isinstance(last_number(text), Fraction)


class TestNumericMatch:
    def test_tolerance(self) -> None:
        assert score("numeric_match", "3.14", reference=["3.14159"]) == 0
        assert score("numeric_match:relative=0.001", "3.14", reference=["3.14159"]) == 1
        assert score("numeric_match:absolute=0.01", "3.14", reference=["3.14159"]) == 1
        assert score("numeric_match", "0.33333333", reference=["1/3"]) == 1
        assert score("numeric_match:relative=0,absolute=0", "0.3", reference=["3/10"]) == 1
        assert score("numeric_match", "1e-10", reference=[0]) == 1

    def test_gold_without_number(self) -> None:
        assert score("numeric_match", "x", reference=["x"]) == 1
        assert score("numeric_match", "5", reference=["x"]) == 0

    def test_last(self) -> None:
        assert score("numeric_match", "It is 50%.", reference=[0.5]) == 0
        assert score("numeric_match:read=last", "It is 50%.", reference=[0.5]) == 1
        assert score("numeric_match:read=last", "7", reference=[7], extracted=["8"]) == 0

    @pytest.mark.parametrize("bad", GARBAGE)
    def test_garbage(self, bad: str | None) -> None:
        assert score("numeric_match:read=last", bad, reference=[0.5]) == 0


CHOICES = ["The red lamp", "a blue lamp", "C", "+1", "-1"]


@pytest.mark.parametrize(
    ("answer", "choices", "named"),
    [
        ("red lamp.", CHOICES, "The red lamp"),
        ("A", CHOICES, "The red lamp"),
        ("b", CHOICES, "a blue lamp"),
        ("(B)", CHOICES, "a blue lamp"),
        ("B.", CHOICES, "a blue lamp"),
        ("(b) blue lamp", CHOICES, "a blue lamp"),
        ("B: The red lamp", CHOICES, None),  # contradicts itself
        ("C", CHOICES, "C"),
        ("-1", CHOICES, "-1"),
        ("1", CHOICES, None),  # either
        ("F", CHOICES, None),
        ("lamp", CHOICES, None),
        ("The red lamp or a blue lamp", CHOICES, None),
        ("B", ["B", "A"], "B"),  # text before letter
        ("", CHOICES, None),
        ("a", ["a", "b"], "a"),
    ],
)
def test_choices(answer: str, choices: list[str], named: str | None) -> None:
    assert choice_named(answer, choices) == named


class TestChoiceAccuracy:
    def test_any_right_choice(self) -> None:
        columns = {"reference": [["a blue lamp", "C"]], "choices": [CHOICES]}
        assert score("choice_accuracy", "c", **columns) == 1
        assert score("choice_accuracy", "A", **columns) == 0
        assert score("choice_accuracy", "A", extracted=["B"], **columns) == 1
        assert score("choice_accuracy:column=gold", "A", gold=["The red lamp"], choices=[CHOICES]) == 1

    def test_rows_without_choices_do_not_apply(self) -> None:
        assert score("choice_accuracy", "A", reference=["x"], choices=[[]]) is None
        assert score("choice_accuracy", "A", reference=[None], choices=[CHOICES]) is None

    def test_missing_column(self) -> None:
        with pytest.raises(UnknownNameError, match="column 'choices'"):
            score("choice_accuracy", "A", reference=["x"])


class TestAnswerFormat:
    @pytest.mark.parametrize("bad", ["", "  ", None])
    def test_no_answer(self, bad: str | None) -> None:
        assert score("answer_format", "is it 4?", extracted=[bad]) == 0
        assert score("answer_format", bad) == 0

    def test_answer(self) -> None:
        assert score("answer_format", "<answer>4</answer>", extracted=["4"]) == 1
        assert score("answer_format:pattern=[0-9]+", "", extracted=["4"]) == 1
        assert score("answer_format:pattern=[0-9]+", "", extracted=["4 lamps"]) == 0

    @pytest.mark.parametrize("pattern", ["(", 3])
    def test_wrong_pattern(self, pattern: Any) -> None:
        with pytest.raises(ConfigurationError, match="pattern of the reward 'answer_format'"):
            rewards.get("answer_format", pattern=pattern)


class TestBrevity:
    def test_formula(self) -> None:
        assert score("brevity", "red") == 1
        assert score("brevity:target=2,limit=6", "red and blue") == 0.75
        assert score("brevity:target=2,limit=6", "one two three four five six seven") == 0
        assert score("brevity:target=4,limit=8,unit=characters", " abcdef ") == 0.5
        assert score("brevity:limit=3,unit=tokens", "red!", completion_ids=[[5, 6]]) == 0.5
        assert score("brevity:unit=tokens", "", completion_ids=[[0]]) == 0
        assert score("brevity", "red and blue", extracted=["red"]) < 1

    @pytest.mark.parametrize("parameters", ["target=0", "limit=x", "target=4,limit=4", "unit=lines"])
    def test_wrong_parameters(self, parameters: str) -> None:
        with pytest.raises(ConfigurationError, match="of the reward 'brevity'"):
            rewards.make_reward(f"brevity:{parameters}")


class TestSupportingSentence:
    def test_share(self) -> None:
        assert score("supporting_sentence", f"Because {SUPPORT.lower()[:-1]}, red", support=[SUPPORT]) == 1
        assert score("supporting_sentence", "He bought a red lamp.", support=[SUPPORT]) == 4 / 10
        assert score("supporting_sentence", "on Friday", support=[["No.", SUPPORT]]) == 2 / 10
        assert score("supporting_sentence", SUPPORT, support=[SUPPORT], extracted=["red"]) == 1

    @pytest.mark.parametrize("bad", GARBAGE)
    def test_garbage(self, bad: str | None) -> None:
        assert score("supporting_sentence", bad, support=[SUPPORT]) == 0

    def test_unanswerable_questions_do_not_apply(self) -> None:
        rows = {"support": ["", None, []]}
        assert rewards.get("supporting_sentence")(["p"] * 3, ["a"] * 3, **rows) == [None] * 3


class TestVerifier:
    def test_calls_it_with_the_answer(self) -> None:
        assert score("verifier", " half ", score=[{"half": 0.5}.__getitem__]) == 0.5
        assert score("verifier", "x", score=["red".__eq__], extracted=["red"]) == 1
        assert score("verifier:column=judge", "red", judge=["red".__eq__]) == 1

    @pytest.mark.parametrize("nothing", ["", " ", None])
    def test_silence_is_not_asked(self, nothing: str | None) -> None:
        assert score("verifier", nothing, score=[lambda answer: 1 / 0]) == 0

    def test_rows_without_verifier_do_not_apply(self) -> None:
        assert score("verifier", "x", score=[None]) is None

    def test_not_a_function(self) -> None:
        with pytest.raises(RewardError, match="expects a function of the answer.*got 3.*verifier:column="):
            score("verifier", "x", score=[3])


@pytest.mark.parametrize("parameters", ["relative=-1", "absolute=inf", "relative=x", "read=first"])
def test_wrong_parameters_of_numeric_match(parameters: str) -> None:
    with pytest.raises(ConfigurationError, match="of the reward 'numeric_match'"):
        rewards.make_reward(f"numeric_match:{parameters}")


@pytest.mark.parametrize("name", ["answer_format", "supporting_sentence"])
def test_pickle(name: str) -> None:
    assert pickle.loads(pickle.dumps(rewards.get(name))) == rewards.get(name)
