"""The language model's words for an act are taken where the parser recognises the act in them."""

from __future__ import annotations

import copy
import pickle

import numpy as np

from lm_envs.dialogue.config import DialogueConfig
from lm_envs.dialogue.framing import ChatFrames
from lm_envs.dialogue.partners import Acts
from lm_envs.dialogue.partners.agenda_acts import DeskActs
from lm_envs.dialogue.phrasing import ATTEMPTS, LanguageModelPhrasing
from lm_envs.vocabulary import load_vocabulary
from lm_envs.world.dialogues import check_turn

TEMPLATE = "What a template!"
OPENING = "Good morning. I would like to book a table for three."


class Picky(Acts):
    """Two acts; ``verdict(row, text)`` is what the parser says of the language model's turns."""

    names, state_size = ("ask", "tell"), 1

    def __init__(self, verdict):
        self.verdict = verdict
        self.seen = []

    def phrase(self, row, act, rng):
        return TEMPLATE

    def state(self, row):
        return np.zeros(1, dtype=np.int8)

    def recognises(self, row, act, text):
        if text != TEMPLATE:
            self.seen.append((row, act, text))
        return self.verdict(row, text)


def phrasing_of(acts, num_rows=4):
    config = DialogueConfig(actions="acts", phrasing="lm")
    frames = ChatFrames(load_vocabulary("tiny"))
    return LanguageModelPhrasing(acts, config, num_rows, [frames.turn_end_id, *frames.vocabulary.eos_ids])


def phrase(phrasing, rows, acts, opening=OPENING):
    context = ChatFrames(load_vocabulary("tiny")).opening([{"role": "user", "content": opening}])
    return phrasing.phrase(rows, acts, [context] * len(rows), [np.random.default_rng(row) for row in rows])


def test_a_turn_that_performs_the_act_is_taken():
    acts = Picky(lambda row, text: True)
    texts = phrase(phrasing_of(acts), [0, 2, 3], [0, 1, 0])
    assert acts.seen == [(0, 0, texts[0]), (2, 1, texts[1]), (3, 0, texts[2])]
    assert all(check_turn("assistant", text) for text in texts)


def test_without_a_parser_the_template_speaks_and_nothing_is_computed():
    phrasing = phrasing_of(Picky(lambda row, text: None))
    assert phrase(phrasing, [0, 1], [0, 0]) == [TEMPLATE] * 2
    assert phrasing.writer.cache.computed_tokens == 0


def test_after_the_last_attempt_the_template_speaks():
    acts = Picky(lambda row, text: row == 1 or text == TEMPLATE)
    first, second = phrase(phrasing_of(acts), [0, 1], [0, 0])
    assert first == TEMPLATE != second
    assert len(acts.seen) == ATTEMPTS + 1
    attempts = [text for row, _, text in acts.seen if row == 0]
    assert all(attempts[i].startswith("What") for i in (4, 5, 6, 7))  # helped along by the template's first words


def test_attempts_read_the_conversation_once():
    phrasing, opening = phrasing_of(Picky(lambda row, text: text == TEMPLATE), num_rows=1), OPENING * 15
    phrase(phrasing, [0], [0], opening)
    context = ChatFrames(load_vocabulary("tiny")).opening([{"role": "user", "content": opening}])
    assert len(context) < phrasing.writer.cache.computed_tokens < 2 * len(context)


def test_tiny_performs_an_act_in_its_own_words():
    acts, rows = DeskActs(24, ["book"]), list(range(24))
    for row in rows:
        acts.begin(row, OPENING)
    act = acts.names.index("ask.day")
    texts = phrase(phrasing_of(acts, 24), rows, [act] * 24)
    templates = [acts.phrase(row, act, np.random.default_rng(row)) for row in rows]
    assert all(acts.recognises(row, act, text) for row, text in enumerate(texts))
    assert np.mean([text != template for text, template in zip(texts, templates, strict=True)]) > 0.5


def test_the_same_seed_gives_the_same_words_also_from_copies():
    phrasing = phrasing_of(Picky(lambda row, text: "?" in text))
    expected = phrase(phrasing, [0, 1, 3], [0, 0, 0])
    assert phrase(phrasing, [0, 1, 3], [0, 0, 0]) == expected
    assert phrase(copy.deepcopy(phrasing), [3], [0]) == expected[2:]
    phrasing.acts.verdict = None  # a lambda cannot be pickled
    again = pickle.loads(pickle.dumps(phrasing))
    again.acts.verdict = lambda row, text: "?" in text
    assert phrase(again, [0, 1, 3], [0, 0, 0]) == expected
