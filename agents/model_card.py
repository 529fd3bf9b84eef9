"""The model card of an export: what was trained, on what, how well it does, and how to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.export import hub_name
from lm_envs.models import smollm2

LICENSES = {"tiny": "mit", smollm2.HUB_ID: "apache-2.0"}
"""Licenses of base models, where they are known; an export has its base's."""

CURVE = "learning_curve.png"


@dataclass(frozen=True)
class CardFacts:
    """What a card tells.

    Attributes:
        model: The base model, as the policy names it.
        policy: The policy's class.
        policy_kwargs: What the policy was built with.
        settings: The run's settings, as :meth:`agents.recipes.train_config.TrainConfig.to_dict` has them; empty for a
            zip without a run.
        evaluation: The run's ``evaluation.json``, of this very model; empty if there is none.
        versions: Of the libraries.
        adapter_only: Whether the folder holds an adapter without its base.
        has_curve: Whether the picture of the training lies beside the card.
    """

    model: str
    policy: str
    policy_kwargs: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    adapter_only: bool = False
    has_curve: bool = False


def model_card(facts: CardFacts, name: str) -> str:
    """The text of ``README.md``, with the front matter that the hub reads.

    Args:
        facts: What to tell.
        name: How the snippet names the model: its id on the hub, or its folder.
    """
    sections = [
        _front_matter(facts),
        f"# {_title(facts)}\n\n{_summary(facts)}",
        f"## Use\n\n{_snippet(facts, name)}",
        _training(facts),
        _results(facts),
        _limitations(facts),
        _versions(facts),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(facts: CardFacts) -> str:
    import yaml

    base = hub_name(facts.model)
    algorithm = facts.settings.get("algorithm")
    values: dict[str, Any] = {"library_name": "peft" if facts.adapter_only else "transformers"}
    if "/" in base and not Path(base).expanduser().exists():  # the hub refuses names that it does not have
        values |= {"base_model": base, "base_model_relation": "adapter" if facts.adapter_only else "finetune"}
    if base in LICENSES:
        values["license"] = LICENSES[base]
    values["pipeline_tag"] = "text-generation"
    values["tags"] = ["lm-envs", "reinforcement-learning", "stable-baselines3", *([algorithm] if algorithm else [])]
    if facts.policy_kwargs.get("trainable") == "lora":
        values["tags"].append("lora")
    return f"---\n{yaml.safe_dump(values, sort_keys=False)}---"


def _title(facts: CardFacts) -> str:
    settings = facts.settings
    if not settings:
        return f"{_plain(facts.model)}, trained by reinforcement learning"
    return f"{_plain(facts.model)}, trained by {settings['algorithm']} on {settings['env_id']}{_subject(settings)}"


def _subject(settings: Mapping[str, Any]) -> str:
    """The task or the data, behind the environment's name."""
    subject = settings.get("task") or settings.get("dataset") or settings.get("env_kwargs", {}).get("partner")
    return "" if subject is None else f" ({_plain(str(subject))})"


def _summary(facts: CardFacts) -> str:
    kind = "A low-rank adapter (LoRA) for" if facts.adapter_only else "The causal language model"
    how = "" if facts.adapter_only else ", fine-tuned"
    return (
        f"{kind} {_code(hub_name(facts.model))}{how} by reinforcement learning with lm-envs: token-level Gymnasium "
        "environments and unmodified Stable-Baselines3 algorithms."
    )


def _snippet(facts: CardFacts, name: str) -> str:
    if not facts.adapter_only:
        code = (
            "from transformers import pipeline\n\n"
            f'write = pipeline("text-generation", model={json.dumps(name)})\n'
            f'print(write("Once upon a time", max_new_tokens=32)[0]["generated_text"])'
        )
    else:
        code = (
            "from peft import PeftModel\n"
            "from lm_envs import load_language_model, load_tokenizer\n\n"
            f"base = load_language_model({json.dumps(facts.model)})\n"
            f"model = PeftModel.from_pretrained(base, {json.dumps(name)})\n"
            f"tokenizer = load_tokenizer({json.dumps(facts.model)})"
        )
    return f"```python\n{code}\n```"


def _training(facts: CardFacts) -> str:
    settings = facts.settings
    rows = [("Base model", _code(hub_name(facts.model))), ("Policy", _code(facts.policy))]
    if settings:
        data = settings.get("dataset") or settings.get("task") or "the environment's own"
        reward = settings.get("reward") or _reward_of_task(settings.get("task"))
        rows += [
            ("Algorithm", _code(settings["algorithm"])),
            ("Environment", _code(settings["env_id"])),
            ("Environment arguments", _code(_as_json(settings["env_kwargs"]))),
            ("Task or data", _code(data)),
            ("Reward", "the environment's own" if reward is None else _code(_as_json(reward))),
            ("Steps (tokens)", f"{settings['steps']:,}"),
            ("Environments side by side", str(settings["n_envs"])),
            ("Seed", str(settings["seed"])),
            ("KL penalty", _penalty(settings)),
        ]
        if settings.get("env_wrapper"):
            rows.append(("Wrappers", _code(_as_json(settings["env_wrapper"]))))
    kl = facts.evaluation.get("after", {}).get("metrics", {}).get("kl")
    if kl is not None:
        rows.append(("KL divergence from the base at the end", f"{kl['mean']:.3g} nats per episode"))
    numbers = {**facts.policy_kwargs, **settings.get("hyperparameters", {})}
    rows += [(_code(key), _code(_as_json(value))) for key, value in sorted(numbers.items()) if key != "model"]
    parts = ["## Training", _table(("", ""), rows)]
    if facts.has_curve:
        parts.append(f"![Reward and divergence during the training]({CURVE})")
    return "\n\n".join(parts)


def _reward_of_task(task: str | None) -> Any:
    from lm_envs import tasks

    return None if task is None else tasks.get(task).reward


def _penalty(settings: Mapping[str, Any]) -> str:
    if not settings.get("kl_coef"):
        return "none"
    target = settings.get("kl_target")
    return f"{settings['kl_coef']} per nat" + ("" if target is None else f", steered to {target} nats per episode")


def _results(facts: CardFacts) -> str:
    before, after = (facts.evaluation.get(moment, {}) for moment in ("before", "after"))
    if not after:
        return ""
    how = "greedy" if after.get("deterministic") else "sampled"
    first = before.get("metrics", {})
    rows = [(_code(name), _estimate(first.get(name)), _estimate(found)) for name, found in after["metrics"].items()]
    told = f"{after['n_prompts']} held-out prompts of the split {_code(after['split'])}, {how} completions"
    table = _table(("metric", "before", "after"), rows)
    return f"## Evaluation\n\n{told}; means with 95% bootstrap intervals.\n\n{table}"


def _estimate(found: Mapping[str, float | None] | None) -> str:
    if found is None or found["mean"] is None:
        return ""
    interval = "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
    return f"{found['mean']:.3f}{interval}"


def _limitations(facts: CardFacts) -> str:
    told = [
        "It was trained to raise one reward and may have learned to please the reward rather than its purpose. Outside "
        "of the prompts that it was trained on it was not measured.",
        "It has the base model's knowledge, mistakes and biases.",
    ]
    if facts.settings.get("env_wrapper"):
        told.append(
            "In training its choices went through the wrappers named above; this model chooses among all tokens."
        )
    if facts.policy_kwargs.get("quantization") and not facts.adapter_only:
        told.append("It was trained on quantized weights and merged into the unquantized ones.")
    return "## Limitations\n\n" + "\n".join(f"- {line}" for line in told)


def _versions(facts: CardFacts) -> str:
    if not facts.versions:
        return ""
    return "## Versions\n\n" + _table(("", ""), [(name, _code(found)) for name, found in facts.versions.items()])


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    """``text`` as it is, in one line of a table."""
    shown = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
    return f"`{shown}`" if shown else ""


def _plain(text: str) -> str:
    """A name in a heading; of a path its last part."""
    name = Path(text).name if Path(text).is_absolute() else text
    return "".join(character for character in name if character.isalnum() or character in " ._-/")


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
