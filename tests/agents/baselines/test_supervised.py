"""Demonstrations are learned, held-out ones too, and the end of a text with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from agents import LMActorCriticPolicy, LMNLPOPolicy, make_lm_vec_env
from agents.baselines.shown_texts import references_of, shown_texts
from agents.baselines.supervised import warm_start
from agents.evaluation.decisions import pack_episodes
from agents.evaluation.generation import complete
from agents.feedback.examples import Demonstration
from lm_envs.errors import ConfigurationError, DataError
from lm_envs.models import load_tokenizer
from lm_envs.wrappers import CandidateActions

PROMPTS = [f"{first} {second} {number}" for number in range(8) for first in ("the", "a") for second in ("good", "bad")]
SHOWN = [Demonstration(prompt, "is the") for prompt in PROMPTS]
END = 1


def env_kwargs(folder, **kwargs):
    own = {"model": folder, "dataset": PROMPTS, "reward": "length:target=8,unit=characters"}
    return {**own, "max_prompt_tokens": 10, "max_new_tokens": 6, **kwargs}


def make_policy(folder, policy=LMActorCriticPolicy, seed=0, wrapper_class=None, **kwargs):
    venv = make_lm_vec_env("TextGen-v0", n_envs=1, env_kwargs=env_kwargs(folder), wrapper_class=wrapper_class)
    with th.random.fork_rng():
        th.manual_seed(seed)
        return policy(venv.observation_space, venv.action_space, lambda _: 1e-3, model=folder, **kwargs)


def fit(policy, shown=SHOWN, **kwargs):
    return warm_start(policy, shown, env_kwargs(policy.model_name), learning_rate=3e-3, **kwargs)


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads", "lora"])
@pytest.mark.parametrize("policy_class", [LMActorCriticPolicy, LMNLPOPolicy])
def test_demonstrations_are_learned_and_other_prompts_follow(lm_folder, trainable, policy_class):
    if trainable == "lora":
        pytest.importorskip("peft")
    policy = make_policy(lm_folder, policy_class, trainable=trainable)
    frozen = [p.clone() for p in policy.actor.parameters() if not p.requires_grad]
    others = [p.clone() for p in (*policy.value_head.parameters(),)]
    found = fit(policy, epochs=8, batch_size=4, validation=0.25)
    assert (found.n_learned, found.n_held_out, found.n_cut) == (24, 8, 0)
    assert found.after < 0.8 * found.before and found.kept == len(found.epochs) > 0
    assert found.epochs[-1].loss < found.epochs[0].loss
    now = [p for p in policy.actor.parameters() if not p.requires_grad]
    assert all(th.equal(a, b) for a, b in zip(frozen, now, strict=True))
    assert all(th.equal(a, b) for a, b in zip(others, policy.value_head.parameters(), strict=True))
    assert not policy.optimizer.state and all(p.grad is None for p in policy.parameters())


def test_what_was_learned_is_written_and_ends(lm_folder):
    policy = make_policy(lm_folder)
    fit(policy, epochs=12, batch_size=4)
    found = complete(policy, env_kwargs=env_kwargs(lm_folder), indices=range(4), split="train", deterministic=True)
    assert {(item.completion, item.stop_reason) for item in found} == {(" is the", "eos")}


def test_the_loss_is_the_mean_negative_log_probability_of_tokens_and_end(lm_folder):
    policy = make_policy(lm_folder)
    found = fit(policy, epochs=1, validation=0.5)
    policy = make_policy(lm_folder)
    tokenizer = load_tokenizer(lm_folder)
    written = [*tokenizer(" is the", add_special_tokens=False)["input_ids"], END]
    total = []
    held_out = [SHOWN[i] for i in np.sort(np.random.default_rng(0).permutation(len(SHOWN))[:16])]
    for item in held_out:
        prompt = tokenizer(item.prompt)["input_ids"][-10:]
        with th.no_grad():
            logits = policy.actor.lm(th.tensor([[*prompt, *written]])).logits[0].log_softmax(dim=1)
        total += [float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(written)]
    assert found.before == pytest.approx(-np.mean(total), abs=1e-4)


def test_prompts_are_cut_as_the_environment_cuts_them(lm_folder):
    long = "the good bad is was the good bad is was the good bad"
    shown = shown_texts([Demonstration(long, "is"), Demonstration("a", "z" * 9)], lm_folder, env_kwargs(lm_folder))
    env = make_lm_vec_env("TextGen-v0", n_envs=1, env_kwargs=env_kwargs(lm_folder, dataset=[long]))
    obs = env.reset()
    packed, actions = pack_episodes(shown.episodes[:1], th.device("cpu"))
    length = int(obs["attention_mask"].sum())
    assert packed.input_ids[0, :length].tolist() == obs["input_ids"][0, :length].tolist()
    assert packed.positions.tolist() == [length - 1, length] and actions[-1] == END
    assert shown.n_cut == 1 and len(shown.episodes[1]) == 6 and END not in shown.episodes[1].actions


@pytest.mark.parametrize(
    ("prompt", "completion", "written"),
    [("a", "is", " is"), ("a", " is", " is"), ("a\n", "is", "is"), ("a", ".", "."), ("a", "", "")],
)
def test_completions_follow_a_space(lm_folder, prompt, completion, written):
    shown = shown_texts([Demonstration(prompt, completion)], lm_folder, env_kwargs(lm_folder))
    expected = load_tokenizer(lm_folder)(written, add_special_tokens=False)["input_ids"]
    assert shown.episodes[0].actions.tolist() == [*expected, END]


def test_the_best_weights_are_kept_and_learning_stops_early(lm_folder):
    policy = make_policy(lm_folder)
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    found = warm_start(policy, SHOWN, env_kwargs(lm_folder), epochs=9, learning_rate=50.0, patience=2)
    assert (found.kept, len(found.epochs)) == (0, 2) and found.after == found.before
    assert all(th.equal(before[name], value) for name, value in policy.state_dict().items())


def test_all_texts_of_a_prompt_are_held_out_together_and_seeds_repeat(lm_folder):
    twice = [*SHOWN, *(Demonstration(item.prompt, "was good") for item in SHOWN)]
    steps = []
    results = [
        fit(make_policy(lm_folder), twice, epochs=1, seed=seed, on_step=lambda *told: steps.append(told))
        for seed in (3, 3, 4)
    ]
    assert results[0] == results[1] != results[2] and results[0].n_held_out == 6
    assert [done for done, _, _ in steps[:2]] == [1, 2] and {total for _, total, _ in steps} == {2}


def test_without_held_out_texts_the_last_weights_are_kept(lm_folder):
    found = fit(make_policy(lm_folder), epochs=3, validation=0.0)
    assert (found.before, found.after, found.kept, len(found.epochs)) == (None, None, 3, 3)


def test_references_become_demonstrations(tmp_path):
    shown = references_of("TextGen-v0", {"task": "summarization"}, split="test")
    assert shown[0].prompt.endswith("Headline:") and shown[0].completion
    with pytest.raises(ConfigurationError, match="the data have no column 'reference'"):
        references_of("TextGen-v0", {"task": "reviews"}, split="test")
    with pytest.raises(ConfigurationError, match="reads the data of TextGen-v0"):
        references_of("QA-v0", {})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1"),
        ({"batch_size": 1.5}, "batch_size must be an integer"),
        ({"validation": 1.0}, "validation is a share"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
    ],
)
def test_impossible_numbers_are_refused(lm_folder, wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        warm_start(make_policy(lm_folder), SHOWN, env_kwargs(lm_folder), **wrong)


def test_what_cannot_be_learned_from_is_refused(lm_folder):
    with pytest.raises(DataError, match="there is no demonstration"):
        fit(make_policy(lm_folder), [])
    with pytest.raises(ConfigurationError, match="writes tokens; got candidates"):
        fit(make_policy(lm_folder, wrapper_class=CandidateActions))
    with pytest.raises(ConfigurationError, match="the policy reads 16 tokens, a demonstration has"):
        warm_start(make_policy(lm_folder), [Demonstration("z" * 40, "is")], env_kwargs(lm_folder, max_prompt_tokens=40))
