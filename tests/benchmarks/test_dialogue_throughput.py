"""The dialogue benchmark compares episodes of equal length, and refuses others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import make_lm_vec_env
from benchmarks import dialogue_throughput
from benchmarks.dialogue_systems import (
    SYSTEMS,
    Clock,
    OutOfStep,
    SteadyPartners,
    WholeBudget,
    prepare_model,
    prompts,
    texts_of_length,
    world_tokens,
)
from benchmarks.worker import measure
from benchmarks.workload import Workload
from lm_envs.dialogue.framing import ChatFrames
from lm_envs.vocabulary import load_vocabulary

TURNS, TURN_TOKENS, USER_TOKENS = 2, 3, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return prepare_model("tiny", tmp_path_factory.mktemp("steady") / "model")


def toy(folder: str, **changes: Any) -> Workload:
    sizes = {"prompt_tokens": world_tokens(folder, TURNS, USER_TOKENS), "new_tokens": TURNS * TURN_TOKENS}
    rest = {"n_envs": 4, "minibatch": 2, "measured_tokens": 48, "n_turns": TURNS, "user_tokens": USER_TOKENS}
    return Workload(folder, **{**sizes, **rest, "algorithm": "dialogue", **changes})


def dialogues(folder: str, clock: Clock) -> Any:
    env_kwargs = {
        "model": folder,
        "partner": SteadyPartners,
        "partner_kwargs": {"user_tokens": USER_TOKENS, "clock": clock},
        "max_tokens": world_tokens(folder, TURNS, USER_TOKENS) + TURNS * TURN_TOKENS,
        "max_turns": TURNS,
        "max_turn_tokens": TURN_TOKENS,
        "max_user_tokens": USER_TOKENS,
    }
    return make_lm_vec_env("Dialogue-v0", 4, seed=0, env_kwargs=env_kwargs)


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_does_its_work(folder: str, system: str) -> None:
    result = measure(system, toy(folder, processor_time=True))
    assert result["tokens"] == 48
    assert result["end_to_end"] < min(result["rollout"], result["update"])
    shares = result["shares"]
    assert 0 < shares["environment"] < 1
    assert (0 < shares["partner"] < shares["environment"]) if "dialogue" in system else shares["partner"] == 0


def test_conversations_have_the_length_that_was_counted(folder: str) -> None:
    clock = Clock()
    total = world_tokens(folder, TURNS, USER_TOKENS) + TURNS * TURN_TOKENS
    venv = WholeBudget(dialogues(folder, clock), TURNS * TURN_TOKENS, total - TURNS * TURN_TOKENS)
    venv.reset()
    for step in range(TURNS * TURN_TOKENS):
        _, _, dones, infos = venv.step(np.full(4, 20))
        assert dones.all() == (step == TURNS * TURN_TOKENS - 1)
    assert infos[0]["stop_reason"] == "max_turns" and infos[0]["n_turns"] == TURNS
    assert len(infos[0]["messages"]) == 2 * TURNS + 1 and clock.seconds > 0
    venv.check()
    assert (venv.n_episodes, venv.others) == (4, [])


def test_another_length_is_refused(folder: str) -> None:
    venv = WholeBudget(dialogues(folder, Clock()), TURNS * TURN_TOKENS + 1, 0)
    venv.reset()
    for _ in range(TURNS * TURN_TOKENS):
        venv.step(np.full(4, 20))
    with pytest.raises(RuntimeError, match=r"4 of 4 episodes did not have 7 tokens .* and 7 in all, .* \(6, 25\)"):
        venv.check()


def test_ragged_rows_end_their_turns_one_after_the_other(folder: str) -> None:
    venv = OutOfStep(dialogues(folder, Clock()), TURN_TOKENS, np.arange(20, 30), Clock())
    lengths = venv.reset()["attention_mask"].sum(axis=1)
    assert (lengths - lengths.min()).tolist() == [2, 1, 0, 2]
    ended = [[bool(info) for info in venv.step(np.full(4, 20))[3]] for _ in range(TURN_TOKENS)]
    assert ended == [[True, False, False, True], [False, True, False, False], [False, False, True, False]]
    assert len(venv.laps) == TURN_TOKENS


def test_texts_have_the_wanted_length(folder: str) -> None:
    vocabulary = load_vocabulary(folder)
    assert set(ChatFrames(vocabulary).lengths(texts_of_length(vocabulary, 6))) == {6}
    assert min(ChatFrames(vocabulary).lengths(prompts(vocabulary, 200))) >= 200
    with pytest.raises(ValueError, match="no user says anything of 200 tokens"):
        texts_of_length(vocabulary, 200)


def test_turns_must_divide_the_tokens(folder: str) -> None:
    with pytest.raises(ValueError, match="n_turns must divide new_tokens=6, got 4"):
        toy(folder, n_turns=4)


@pytest.mark.slow
def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    sizes = "--n-turns 2 --turn-tokens 3 --user-tokens 6 --n-envs 4 --minibatch 2 --measured-tokens 24 --rounds 1"
    dialogue_throughput.main([*sizes.split(), "--json", str(file)])
    result = json.loads(file.read_text())
    assert [run["system"] for run in result["runs"]] == list(SYSTEMS)
    assert [row["name"] for row in result["ratios"]] == [
        "rollout, dialogue / textgen",
        "update, dialogue / textgen",
        "end_to_end, dialogue / textgen",
        "rollout, dialogue_ragged / textgen_ragged",
    ]
    assert set(result["shares"]) == set(SYSTEMS)
    assert "dialogue: of the rollout's time environment" in capsys.readouterr().out
