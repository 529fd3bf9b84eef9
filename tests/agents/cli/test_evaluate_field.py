"""The commands on questions, on tagging, and on texts with references."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stable_baselines3 import DQN

from agents import LMActorCriticPolicy, SequenceRolloutBuffer, make_lm_vec_env
from agents.cli.labelling import read_labels
from lm_envs.errors import ConfigurationError, UnknownNameError

CHOICE = ("--env", "QA-v0", "-d", "sentiment", "-E", "actions=choice")


@pytest.fixture
def choice_zip(tmp_path: Path) -> str:
    kwargs = {"dataset": "sentiment", "actions": "choice"}
    venv = make_lm_vec_env("QA-v0", n_envs=2, seed=0, env_kwargs=kwargs)
    DQN("MultiInputPolicy", venv, buffer_size=10, device="cpu").save(tmp_path / "choice.zip")
    return "choice.zip"


@pytest.fixture
def tagging_zip(tmp_path: Path) -> str:
    from stable_baselines3 import A2C

    venv = make_lm_vec_env("Tagging-v0", n_envs=2, seed=0)
    A2C(
        LMActorCriticPolicy, venv, rollout_buffer_class=SequenceRolloutBuffer, device="cpu", seed=0,
        policy_kwargs={"model": "tiny", "trainable": "heads"},
    ).learn(40).save(tmp_path / "tag.zip")  # fmt: skip
    return "tag.zip"


def test_questions_are_measured_as_squad_does(cli: Callable) -> None:
    result = cli("evaluate", "QA-v0", "--prompts", 12, "--json")
    assert result.exit_code == 0, result.output
    metrics = json.loads(result.stdout)["model"]["metrics"]
    split = {f"{kind}_{name}" for kind in ("has_ans", "no_ans") for name in ("exact_match", "f1")}
    assert {"reward", "success", "exact_match", "f1", "answered", *split} <= metrics.keys()
    assert metrics["exact_match"] == metrics["reward"] == metrics["success"]
    table = cli("evaluate", "QA-v0", "--prompts", 12).stdout
    assert "tiny" not in table and "12 questions of the split 'test'" in table and "EM, no answer" in table


def test_the_difference_is_paired_and_a_table_goes_into_files(cli: Callable, choice_zip: str, tmp_path: Path) -> None:
    arguments = ("evaluate", choice_zip, *CHOICE, "--prompts", 8)
    result = cli(*arguments, "-o", "a.json", "-o", "a.md", "--markdown")
    assert result.exit_code == 0, result.output
    assert result.stdout == (tmp_path / "a.md").read_text()
    assert "| accuracy | " in result.stdout and "| metric | untrained | trained | difference |" in result.stdout
    found = json.loads((tmp_path / "a.json").read_text())
    assert found == json.loads(cli(*arguments, "--json").stdout)
    expected = {"reward", "success", "accuracy", "macro_f1"}
    assert set(found["untrained"]["metrics"]) == set(found["trained"]["metrics"]) == expected
    gain = found["trained"]["metrics"]["accuracy"]["mean"] - found["untrained"]["metrics"]["accuracy"]["mean"]
    assert found["trained"]["difference"]["accuracy"]["mean"] == pytest.approx(gain)
    assert "difference" not in found["untrained"] and "difference" in cli(*arguments).stdout


def test_the_untrained_model_writes_one_of_the_choices(cli: Callable) -> None:
    from agents.evaluation.pretrained_policy import untrained_kwargs

    kwargs = {"model": "tiny", "dataset": "topic", "actions": "choice"}
    kwargs = untrained_kwargs(None, kwargs)
    assert kwargs == {"model": "tiny", "dataset": "topic", "constrain": True, "max_new_tokens": 64}
    rows = json.loads(cli("sample", "tiny", "--env", "QA-v0", "-d", "topic", "-E", "constrain=true", "--json").stdout)
    assert all(row["answer"] in row["choices"] for row in rows)


def test_an_agent_answers_questions(cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quiet_agent.py").write_text("def answer(messages):\n    return 'unknown'\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    found = json.loads(cli("evaluate", "--env", "QA-v0", "--agent", "quiet_agent:answer", "-n", 12, "--json").stdout)
    sys.modules.pop("quiet_agent")
    agent = found["agent"]["metrics"]
    assert agent["no_ans_exact_match"]["mean"] == 1 and agent["has_ans_exact_match"]["mean"] == 0
    assert found["agent"]["difference"]["exact_match"]["low"] is not None


def test_tagging_has_a_report_by_type(cli: Callable, tagging_zip: str) -> None:
    arguments = ("evaluate", tagging_zip, "--env", "Tagging-v0", "--prompts", 12)
    result = cli(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    names = {"token_accuracy", "entity_precision", "entity_recall", "entity_f1"}
    assert names <= found["trained"]["metrics"].keys() and not {"kl", "distinct_2"} & found["trained"]["metrics"].keys()
    report = found["trained"]["entities"]
    assert list(report)[-3:] == ["micro_avg", "macro_avg", "weighted_avg"] and "PER" in report
    assert report["micro_avg"]["f1"] == found["trained"]["metrics"]["entity_f1"]
    assert sum(row["support"] for name, row in report.items() if "_avg" not in name) == report["micro_avg"]["support"]
    printed = cli(*arguments).stdout
    assert "12 sentences" in printed and "micro average" in printed and printed.count("trained") >= 2


def test_texts_with_references(cli: Callable, tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu")
    pytest.importorskip("rouge_score")
    rows = [
        {"prompt": f"The {word} is", "reference": f"The {word} is red."} for word in ("lamp", "tent", "chair", "map")
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = cli("evaluate", "tiny", "-d", "pairs.jsonl", "-r", "rougeL", "--split", "train", "--json")
    assert result.exit_code == 0, result.output
    metrics = json.loads(result.stdout)["model"]["metrics"]
    assert {"rouge1", "rouge2", "rougeL", "chrf", "bleu"} <= metrics.keys()
    assert metrics["rougeL"] == metrics["reward"]


def test_a_reasoning_generator_is_measured_by_its_verifier(cli: Callable) -> None:
    pytest.importorskip("reasoning_gym")
    arguments = ("-d", "reasoning_gym:chain_sum", "-E", "max_prompt_tokens=128", "-r", "answer_format")
    metrics = json.loads(cli("evaluate", "QA-v0", *arguments, "-n", 3, "--json").stdout)["model"]["metrics"]
    assert {"score", "answered"} <= metrics.keys() and "exact_match" not in metrics
    assert metrics["answered"] == metrics["reward"]


def test_samples_show_what_would_have_been_right(cli: Callable, choice_zip: str) -> None:
    chosen = cli("sample", choice_zip, *CHOICE, "-p", 1).stdout
    assert "choices positive | negative" in chosen and "gold    " in chosen and "Answer: " in chosen
    tagged = cli("sample", "Tagging-v0", "-p", 2)
    assert tagged.exit_code == 0 and "/B-" in tagged.stdout and "(O)" in tagged.stdout
    (row,) = json.loads(cli("sample", "Tagging-v0", "-p", 1, "--json").stdout)
    assert len(row["words"]) == len(row["labels"]) == len(row["gold"])
    assert "gold    " in cli("sample", "QA-v0", "-p", 1).stdout


def test_a_person_labels_sentences(cli: Callable) -> None:
    result = cli("play", "Tagging-v0", input="b-per O o\nB-PRE\n" + "O " * 99 + "\n\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("labels  O B-ANIMAL") and result.stdout.count("words   ") == 2
    assert "/B-PER" in result.stdout and "mean reward of 1 sentence(s)" in result.stdout
    assert "Did you mean 'B-PER'?" in result.stderr and "got 99 labels for" in result.stderr


def test_a_person_chooses(cli: Callable) -> None:
    result = cli("play", "QA-v0", "-d", "topic", "-E", "actions=choice", input="books\n\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("choices books | clothes") == 2 and "gold    " in result.stdout


def test_labels_are_read() -> None:
    assert read_labels(["b-x"], ["O", "B-X"], 3) == [1, 0, 0]
    with pytest.raises(UnknownNameError, match="unknown label 'y'"):
        read_labels(["y"], ["O"], 1)
    with pytest.raises(ConfigurationError, match="got 2 labels for 1 words"):
        read_labels(["O", "O"], ["O"], 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "--markdown"], "both print to standard output"),
        (["-o", "table.txt"], "--output writes .json or .md"),
        (["-o", "nowhere/table.md"], "there is no folder 'nowhere'"),
    ],
)
def test_mistakes(cli: Callable, arguments: list[str], message: str) -> None:
    result = cli("evaluate", "QA-v0", *arguments)
    assert result.exit_code == 2 and message in result.stderr
