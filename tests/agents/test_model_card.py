"""What a model card says, and that the hub can read its front matter."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import yaml

from agents.model_card import CardFacts, model_card
from agents.recipes.train_config import make_config

KWARGS = {"trainable": "lora", "peft_config": {"r": 8}, "model": "smollm2-135m"}
METRICS = {"reward": {"mean": 0.5, "low": 0.41, "high": 0.6}, "kl": {"mean": 2.5, "low": 2.0, "high": 3.0},
           "distinct_2": {"mean": 0.7, "low": None, "high": None}}  # fmt: skip
BEFORE = {"reward": {"mean": 0.1, "low": 0.05, "high": 0.2}}
EVALUATION = {"before": {"metrics": BEFORE}, "after": {"n_prompts": 64, "split": "test", "metrics": METRICS}}


def facts(**changes: Any) -> CardFacts:
    config = make_config(task="reviews", algorithm="ppo", model="smollm2-135m", hyperparameters={"learning_rate": 1e-4})
    given: dict[str, Any] = {"settings": config.to_dict(), "evaluation": EVALUATION, "versions": {"torch": "2.9"}}
    return CardFacts("smollm2-135m", "LMActorCriticPolicy", KWARGS, **{**given, **changes})


def front_matter(card: str) -> dict[str, Any]:
    start, matter, _ = card.split("---\n", 2)
    assert not start
    return yaml.safe_load(matter)


def test_front_matter() -> None:
    whole, adapter = front_matter(model_card(facts(), "x")), front_matter(model_card(facts(adapter_only=True), "x"))
    assert whole["library_name"] == "transformers" and adapter["library_name"] == "peft"
    assert whole["base_model"] == adapter["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert whole["license"] == "apache-2.0" and whole["pipeline_tag"] == "text-generation"
    assert {"ppo", "lora", "reinforcement-learning"} <= set(whole["tags"])


def test_the_hubs_own_reader_takes_it() -> None:
    from huggingface_hub import ModelCard

    data = ModelCard(model_card(facts(), "me/model")).data
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct" and data.library_name == "transformers"


def test_a_base_that_is_not_on_the_hub_is_not_claimed_to_be(tmp_path: Any) -> None:
    for model in ("tiny", str(tmp_path)):
        assert "base_model" not in front_matter(model_card(dataclasses.replace(facts(), model=model), "x"))
    assert "license" not in front_matter(model_card(dataclasses.replace(facts(), model="some/model"), "x"))


def test_what_was_trained_how_and_how_well() -> None:
    card = model_card(facts(has_curve=True), "me/model")
    for told in (
        "| Environment | `TextGen-v0` |",
        "| Task or data | `reviews` |",
        "| Algorithm | `ppo` |",
        "| `learning_rate` | `0.0001` |",
        '| `peft_config` | `{"r": 8}` |',
        "| KL divergence from the base at the end | 2.5 nats per episode |",
        "| `reward` | 0.100 [0.050, 0.200] | 0.500 [0.410, 0.600] |",
        "| `distinct_2` |  | 0.700 |",
        "(learning_curve.png)",
        'pipeline("text-generation", model="me/model")',
        "| torch | `2.9` |",
        "## Limitations",
    ):
        assert told in card, told
    assert "sentiment" in card  # the task's own reward


def test_what_nobody_knows_is_left_out() -> None:
    card = model_card(CardFacts("tiny", "LMActorCriticPolicy", {"trainable": "all"}), "folder")
    assert "learning_curve" not in card and "## Evaluation" not in card and "None" not in card
    assert front_matter(card)["license"] == "mit"


def test_an_adapters_snippet_loads_the_base_first() -> None:
    card = model_card(facts(adapter_only=True), "me/model")
    assert 'PeftModel.from_pretrained(base, "me/model")' in card and "pipeline(" not in card


@pytest.mark.parametrize("name", ["a|b", "x\n## Forged", "`rm`", "<script>alert(1)</script>"])
def test_names_cannot_break_out_of_their_place(name: str) -> None:
    settings = {**facts().settings, "task": None, "dataset": name, "reward": {name: 1.0}}
    card = model_card(facts(settings=settings), "x")
    assert "\n## Forged" not in card
    rows = [line for line in card.splitlines() if line.startswith("| Task or data")]
    assert len(rows) == 1 and rows[0].replace("\\|", "").count("|") == 3 and rows[0].count("`") == 2
    assert "<script>" not in card.partition("## Use")[0]
