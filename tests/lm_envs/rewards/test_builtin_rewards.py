"""House rule: the gold answer scores the maximum; garbage, empty text and None score the minimum."""

import pickle
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from lm_envs import rewards
from lm_envs.errors import ConfigurationError, DataError, MissingDependencyError, UnknownNameError

SENTENCE = "The small red lamp gives a warm light in the evening."
REFERENCE = {"reference": [SENTENCE]}
REVIEW = "a good lamp"
GARBAGE = "@#~ %% $$"

# name, gold, columns, minimum, maximum
CASES = [
    ("bleu", SENTENCE, REFERENCE, 0, 1),
    ("chrf", SENTENCE, REFERENCE, 0, 1),
    ("chrf:word_order=2", SENTENCE, REFERENCE, 0, 1),
    ("ter", SENTENCE, REFERENCE, 0, 1),
    ("rouge", SENTENCE, REFERENCE, 0, 1),
    ("rouge1", SENTENCE, REFERENCE, 0, 1),
    ("rouge2", "Paris", {"reference": ["Paris"]}, 0, 1),  # one word has no bigram
    ("rougeL", "巴黎", {"reference": ["巴黎"]}, 0, 1),  # rouge-score sees no word at all
    ("exact_match", "the lamp!", {"reference": [["A lamp", "light"]]}, 0, 1),
    ("token_f1", "the lamp!", {"reference": [["A lamp", "light"]]}, 0, 1),
    ("cross_entropy", SENTENCE, REFERENCE, 0, 1),
    ("regex:pattern=l[aei]mp", SENTENCE, {}, 0, 1),
    ("length:target=11", SENTENCE, {}, 0, 1),
    ("repetition", SENTENCE, {}, -1, 0),
    ("distinct", SENTENCE, {}, 0, 1),
    ("keywords", SENTENCE, {"keywords": [["lamp", "warm light"]]}, 0, 1),
    ("grammar", REVIEW, {}, 0, 1),
    ("numeric_match", "1,250.50", {"reference": [["7", "1250.5"]]}, 0, 1),
    ("choice_accuracy", "B.", {"reference": ["red"], "choices": [["blue", "red"]]}, 0, 1),
    ("brevity", "red", {}, 0, 1),
    ("coverage", SENTENCE, {"source": [SENTENCE]}, 0, 1),
    ("verifier", "red", {"score": ["red".__eq__]}, 0, 1),
]


@pytest.fixture(autouse=True)
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the world's grammar, which accepts one completion."""
    world = ModuleType("lm_envs.world")
    world.check_review = lambda prompt, text: SimpleNamespace(ok=prompt == "p" and text in (REVIEW, ""))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lm_envs.world", world)


def make(spec: str) -> rewards.RewardSum:
    return rewards.make_reward(spec)


def score(spec: str, completion: str | None, **columns: list) -> float:
    return make(spec).terms[0].function(prompts=["p"], completions=[completion], **columns)[0]


def test_every_registered_name_has_a_case() -> None:
    goals = {"goal_success", "slots_filled", "politeness", "partner"}
    turns = {"turn_cost", "asked_again", "non_repetition", "user_sentiment"}
    answers = {"answer_format", "supporting_sentence"}
    labels = {"entity_f1", "token_accuracy"}
    learned = {"model", "remote"}
    elsewhere = {"sentiment", "fluency", "relevance", "faithfulness", *learned, *goals, *turns, *answers, *labels}
    own = {n for n in rewards.names() if rewards.registry._registered[n].__module__.startswith("lm_envs.")}
    covered = {case[0].partition(":")[0] for case in CASES} | elsewhere
    assert own <= covered
    assert covered <= set(rewards.names())


@pytest.mark.parametrize(("spec", "gold", "columns", "low", "high"), CASES)
def test_gold_is_the_maximum(spec: str, gold: str, columns: dict, low: float, high: float) -> None:
    assert score(spec, gold, **columns) == high


@pytest.mark.parametrize("bad", [GARBAGE, "", "  \n", None])
@pytest.mark.parametrize(("spec", "gold", "columns", "low", "high"), CASES)
def test_garbage_is_the_minimum(spec: str, gold: str, columns: dict, low: float, high: float, bad: str | None) -> None:
    assert score(spec, bad, **columns) == low


@pytest.mark.parametrize(("spec", "gold", "columns", "low", "high"), CASES)
def test_worse_text_scores_less_and_within_the_range(
    spec: str, gold: str, columns: dict, low: float, high: float
) -> None:
    value = score(spec, f"{gold} lomp {gold} {gold}" if "regex" not in spec else "lump", **columns)
    if spec == "keywords":
        value = score(spec, "a lamp, lightly warm", **columns)
        assert value == 0.5
    assert low <= value < high


@pytest.mark.parametrize("spec", ["sentiment", *(case[0] for case in CASES)])
def test_pickle(spec: str) -> None:
    copy = pickle.loads(pickle.dumps(make(spec)))
    assert copy.terms == make(spec).terms


@pytest.mark.parametrize(("spec", "gold", "columns", "low", "high"), CASES)
def test_batch_equals_single(spec: str, gold: str, columns: dict, low: float, high: float) -> None:
    batch = {name: values * 3 for name, values in columns.items()}
    function = make(spec).terms[0].function
    assert function(["p"] * 3, [GARBAGE, gold, None], **batch) == [low, high, low]


@pytest.mark.parametrize("spec", ["bleu", "chrf", "ter", "rouge", "exact_match", "token_f1", "cross_entropy"])
class TestReferences:
    def test_missing_column(self, spec: str) -> None:
        with pytest.raises(UnknownNameError, match=f"column 'reference'. Did you mean 'references'.*'{spec}|rouge"):
            score(spec, "a", references=["a"])

    def test_other_column(self, spec: str) -> None:
        assert score(f"{spec}:column=answer", "42", answer=[42]) == 1

    def test_row_without_reference_does_not_apply(self, spec: str) -> None:
        nothing = [None, [], float("nan"), [None]]
        assert make(spec).terms[0].function(["p"] * 4, ["a"] * 4, reference=nothing) == [None] * 4

    def test_empty_reference_wants_silence(self, spec: str) -> None:
        assert score(spec, "", reference=[""]) == 1
        assert score(spec, "word", reference=[""]) == 0

    def test_best_of_several(self, spec: str) -> None:
        assert score(spec, "red lamp", reference=[["blue sky over town", "red lamp"]]) == 1

    def test_wrong_type(self, spec: str) -> None:
        with pytest.raises(DataError, match="expects a text or a list of texts"):
            score(spec, "a", reference=[{"text": "a"}])


def test_known_values() -> None:
    cat = {"reference": ["the cat sat on the mat"]}
    assert score("bleu", "the cat sat on a mat", **cat) == pytest.approx(0.537284, abs=1e-5)
    assert score("ter", "the cat sat on a mat", **cat) == pytest.approx(5 / 6)
    assert score("rouge1", "the cat sat", **cat) == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert score("rouge:variant=rouge1,measure=precision", "the cat sat", **cat) == 1
    assert score("rouge2", "the cat ran", **cat) == pytest.approx(2 * (1 / 2) * (1 / 5) / (1 / 2 + 1 / 5))
    assert score("token_f1", "cat mat", **cat) == pytest.approx(2 * 1 * 0.5 / 1.5)  # cat sat on mat
    assert score("length:target=4", "one two three") == 0.75
    assert score("length:target=10,unit=characters", "abcde") == 0.5
    assert score("length:target=4,unit=tokens", "x", completion_ids=[[1, 2, 3]]) == 0.75
    assert score("distinct", "a b a b a b") == pytest.approx(2 / 5)
    assert score("distinct:n=1", "a b a b") == 0.5
    assert score("repetition:n=1", "a b a b") == pytest.approx(-2 / 3)
    assert score("repetition", "go go go go go go") == -1


def test_cross_entropy_is_the_k_divergence() -> None:
    # q = (1/2, 1/2), p = (1, 0): m = (3/4, 1/4); H(q, m) - H(q) = log2(2/3)/2 + log2(2)/2 bits
    from math import log2

    assert score("cross_entropy:order=1", "a a", reference=["a b"]) == pytest.approx(1 - (log2(2 / 3) + 1) / 2)
    assert score("cross_entropy:order=1", "b a", reference=["a b"]) == 1
    assert score("cross_entropy", "b a", reference=["a b"]) == 0.5  # the words, but not their order


@pytest.mark.parametrize(
    ("keywords", "completion", "value"),
    [
        (["art"], "a new start", 0.0),
        (["dog"], "two dogs", 0.0),
        (["Dog"], "DOG!", 1.0),
        (["dog", "dog", "cat"], "a dog", 0.5),
        ("dog, warm light", "a dog in the warm light", 1.0),
        ("dog cat", "a dog", 0.5),
        (["don't"], "I don't know", 1.0),
    ],
)
def test_keywords_are_whole_words(keywords: object, completion: str, value: float) -> None:
    assert score("keywords", completion, keywords=[keywords]) == value


def test_rows_without_keywords_do_not_apply() -> None:
    assert rewards.get("keywords")(["p"] * 3, ["a"] * 3, keywords=[[], None, " "]) == [None] * 3


@pytest.mark.parametrize("empty_pattern_match", ["", None])
def test_regex_does_not_pay_for_nothing(empty_pattern_match: str | None) -> None:
    assert score("regex:pattern=.*", empty_pattern_match) == 0
    assert score("regex:pattern=b,mode=match", "abc") == 0
    assert score("regex:pattern=a{1,2},mode=fullmatch", "aa") == 1


class TestSentiment:
    def test_order(self) -> None:
        bad, neutral, good = rewards.get("sentiment")(["p"] * 3, ["awful, I hate it", "a lamp", "great, I love it"])
        assert 0 <= bad < 0.2
        assert neutral == 0.5
        assert 0.8 < good <= 1

    @pytest.mark.parametrize("nothing", ["", "  ", None, GARBAGE])
    def test_silence_is_not_neutral(self, nothing: str | None) -> None:
        assert score("sentiment", nothing) == 0

    def test_emoticons_count(self) -> None:
        assert score("sentiment", ":)") > 0.6

    def test_reads_its_word_list_once(self) -> None:
        from lm_envs.rewards.sentiment import _analyzer

        score("sentiment", "good")
        assert pickle.loads(pickle.dumps(make("sentiment"))).terms
        assert _analyzer() is _analyzer()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("length:target=0", "target of the reward 'length' has to be an integer >= 1, got 0"),
        ("length:target=2.5", "integer >= 1, got 2.5"),
        ("length:unit=lines", "has to be one of 'words', 'characters', 'tokens', got 'lines'"),
        ("length:targt=3", "unknown parameter of the reward 'length' 'targt'. Did you mean 'target'"),
        ("rouge:variant=rouge7", "variant of the reward 'rouge' has to be one of"),
        ("rouge:measure=f1", "measure of the reward 'rouge'"),
        ("regex", "needs pattern=..."),
        ("regex:pattern=(", "has to be a regular expression, got '\\('"),
        ("regex:pattern=5", "has to be a regular expression, got 5"),
        ("regex:pattern=a,mode=find", "mode of the reward 'regex'"),
        ("distinct:n=0", "n of the reward 'distinct'"),
        ("repetition:n=x", "n of the reward 'repetition'"),
        ("cross_entropy:order=0", "order of the reward 'cross_entropy'"),
        ("fluency:scale=log", "scale of the reward 'fluency'"),
        ("fluency:batch_size=0", "batch_size of the reward 'fluency'"),
    ],
)
def test_wrong_parameters(spec: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(spec)


@pytest.mark.parametrize(
    ("name", "package"),
    [("sentiment", "vaderSentiment"), ("bleu", "sacrebleu"), ("ter", "sacrebleu"), ("rouge2", "rouge_score")],
)
def test_missing_package_names_the_extra(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: None)
    with pytest.raises(MissingDependencyError, match=rf"needs the package '{package}'.*lm-envs\[rewards\]"):
        rewards.get(name)


def test_import_is_light() -> None:
    heavy = ("torch", "transformers", "sacrebleu", "rouge_score", "vaderSentiment", "pandas", "datasets")
    code = (
        "import sys, lm_envs.data; from lm_envs.rewards import make_reward\n"
        "make_reward(['sentiment', 'bleu', 'rouge', 'fluency'])\n"
        f"sys.exit(str({{*{heavy}}} & set(sys.modules)) if {{*{heavy}}} & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
