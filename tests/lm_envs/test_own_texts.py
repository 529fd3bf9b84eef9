"""The user's own documents and sentences in the form of a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from lm_envs import tasks
from lm_envs.data import PromptDataset
from lm_envs.errors import ConfigurationError, DataError
from lm_envs.tasks import Task
from lm_envs.text_gen_config import TextGenConfig

FORMS: list[tuple[str, dict[str, Any], str]] = [
    ("summarization", {"document": "A long text.", "summary": "Short."}, "A long text. Headline:"),  # XSum
    ("summarization", {"article": "A long text.", "highlights": "Short."}, "A long text. Headline:"),  # CNN/DailyMail
    ("summarization", {"dialogue": "A long text.", "summary": "Short."}, "A long text. Headline:"),  # SAMSum
    ("summarization", {"source": "A long text.", "reference": ["Short.", "Brief."]}, "A long text. Headline:"),
    ("translation", {"translation": {"en": "A dog.", "es": "Un perro."}}, "A dog. In Spanish:"),  # WMT, OPUS
    ("translation", {"source": "A dog.", "target": "Un perro."}, "A dog. In Spanish:"),
    ("translation", {"en": "A dog.", "es": "Un perro."}, "A dog. In Spanish:"),
]


def dataset(task: str, rows: Any, **arguments: Any) -> PromptDataset:
    config = TextGenConfig(task=task, dataset=rows, **arguments)
    return config.load_dataset(config.load_task())


@pytest.mark.parametrize(("task", "row", "prompt"), FORMS)
def test_the_forms_of_data_sets(task: str, row: dict[str, Any], prompt: str) -> None:
    found = dataset(task, [row])
    assert found.prompts == [prompt]
    text, reference = ("A dog.", "Un perro.") if task == "translation" else ("A long text.", "Short.")
    assert found.columns["source"] == [text]
    assert found.columns["reference"] in ([reference], [["Short.", "Brief."]])
    assert set(row) <= set(found.columns)


@pytest.mark.parametrize(("task", "row", "prompt"), FORMS)
def test_the_task_scores_them(task: str, row: dict[str, Any], prompt: str) -> None:
    env = gym.make("TextGen-v0", task=task, dataset=[row])
    env.reset(seed=0)
    vocabulary = env.unwrapped.vocabulary  # type: ignore[attr-defined]
    text = " Un perro." if task == "translation" else " Short."
    for token in [*vocabulary.tokenizer(text, add_special_tokens=False)["input_ids"], vocabulary.eos_ids[0]]:
        _, reward, terminated, _, info = env.step(token)
    assert terminated and info["prompt"] == prompt and info["is_success"] is True
    others = {"chrf"} if task == "translation" else {"rougeL", "faithfulness"}
    assert set(info["reward_terms"]) == {"exact_match", *others}
    assert reward == sum(info["reward_terms"].values()) >= 1.0


def test_a_file_is_split_by_its_texts(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text("document,summary\n" + "".join(f"text {i},short {i}\n" for i in range(100)))
    parts = [dataset("summarization", str(path), split=split) for split in tasks.SPLITS]
    assert sum(map(len, parts)) == 100 and min(map(len, parts)) > 0
    assert len({text for part in parts for text in part.columns["source"]}) == 100


def test_template_and_columns_of_ones_own() -> None:
    rows = [{"body": "A text.", "teaser": "Short.", "id": 7, "source": "BBC"}]
    kwargs = {"source_column": "body", "reference_column": "teaser", "template": "{id}: {source} TL;DR:"}
    found = dataset("summarization", rows, dataset_kwargs=kwargs)
    assert found.prompts == ["7: A text. TL;DR:"]
    assert found.columns["source"] == ["A text."]  # not what the data call by that name
    assert dataset("summarization", rows, dataset_kwargs={**kwargs, "template": "{body}"}).prompts == ["A text."]
    one = {**kwargs, "template": "{source}"}
    assert list(dataset("summarization", rows, dataset_kwargs=one, columns=["id"]).columns) == [
        "source",
        "reference",
        "id",
    ]


def test_other_languages() -> None:
    rows = [{"translation": {"de": "Ein Hund.", "fr": "Un chien."}}]
    kwargs = {
        "source_column": "translation.de",
        "reference_column": "translation.fr",
        "template": "{source} Auf Französisch:",
    }
    found = dataset("translation", rows, dataset_kwargs=kwargs)
    assert found.row(0)["prompt"] == "Ein Hund. Auf Französisch:" and found.columns["reference"] == ["Un chien."]


def test_prompts_at_hand_stay() -> None:
    given = PromptDataset(["p"], {"reference": ["r"]})
    assert dataset("summarization", given) is given


MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"dataset": [{"body": "a", "summary": "b"}]},
        DataError,
        r"none of the columns 'document', .*, only 'body', 'summary'\. .* dataset_kwargs=\{'source_column': \.\.\.\}",
    ),
    ({"dataset": ["a text"]}, DataError, r"none of the columns 'summary', .*'reference_column'"),
    ({"dataset": [{"text": "a", "summary": ""}]}, DataError, "row 1 of .* has the reference ''; expected a text"),
    ({"dataset": [{"text": "a", "summary": []}]}, DataError, r"has the reference \[\]"),
    ({"dataset": [{"text": "a", "summary": "b"}, {"text": "c"}]}, DataError, "row 2 of .* has the reference None"),
    ({"dataset": [{"text": " ", "summary": "b"}]}, DataError, "row 1 of .* has the text ' '"),
    ({"dataset": [{"text": "a", "summary": "so long " * 20}]}, DataError, "the reference of prompt 0 takes .* tokens"),
    ({"max_new_tokens": 4}, DataError, r"more than max_new_tokens=4: .*Set max_new_tokens=\d+ or more"),
    ({"dataset": PromptDataset(["a"])}, DataError, "none of the columns 'reference'"),
    ({"dataset_kwargs": {"templat": "{text}"}}, ConfigurationError, "dataset_kwargs: .*Did you mean 'template'"),
    ({"dataset_kwargs": {"template": "{txt}"}}, ConfigurationError, "unknown field 'txt'"),
    ({"dataset_kwargs": ["template"]}, ConfigurationError, "dataset_kwargs must be a mapping"),
    ({"dataset_kwargs": {"split": "test"}}, ConfigurationError, "dataset_kwargs: unknown argument"),
    ({"dataset": None, "dataset_kwargs": {"template": "x"}}, ConfigurationError, "pass task=... and dataset=..."),
    ({"task": "reviews"}, ConfigurationError, "got both task='reviews' and a dataset"),
    (
        {"task": "translation", "dataset": [{"translation": {"en": "a", "de": "b"}}]},
        DataError,
        "row 1 of .* where a mapping with the key 'es'",
    ),
]


@pytest.mark.parametrize(("mistake", "error", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_mistakes(mistake: dict[str, Any], error: type[Exception], message: str) -> None:
    rows = [{"text": "A long text.", "summary": "A short one that has a few words."}]
    with pytest.raises(error, match=message):
        gym.make("TextGen-v0", **{"task": "summarization", "dataset": rows, **mistake})


def test_a_task_of_ones_own_may_read_data() -> None:
    def read(dataset: list[str], split: str, columns: Any, suffix: str = "?") -> PromptDataset:
        return PromptDataset([text + suffix for text in dataset])

    def constant(completions: list[str], **columns: Any) -> list[float]:
        return [0.5] * len(completions)

    task = Task("ask", "Answer.", lambda split: PromptDataset(["a"]), constant, read_own=read, max_new_tokens=3)
    env = gym.make("TextGen-v0", task=task, dataset=["Why"], dataset_kwargs={"suffix": "!"})
    env.reset(seed=0)
    for _ in range(3):
        info = env.step(5)[4]
    assert info["prompt"] == "Why!" and info["stop_reason"] == "max_new_tokens"
