"""``lm-envs export``: folders, cards, adapters, and what stands between them and the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents import hub

from .conftest import Cli, train_arguments


@pytest.fixture(scope="module")
def lora_run(tmp_path_factory: pytest.TempPathFactory, lm_folder: str, prompt_file: Path) -> Path:
    """A finished run with an adapter: shared, not to be changed."""
    pytest.importorskip("peft")
    from typer.testing import CliRunner

    from agents.cli import app

    folder = tmp_path_factory.mktemp("lora") / "run"
    adapter = ["--trainable", "lora", "-H", "peft_config={'r': 2, 'target_modules': ['q_proj', 'o_proj']}"]
    result = CliRunner().invoke(app, [*train_arguments(lm_folder, prompt_file), *adapter, "--run", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


def test_a_run_with_an_adapter_knows_its_configuration_and_goes_on(cli: Cli, lora_run: Path, tmp_path: Path) -> None:
    import json
    import shutil

    config = json.loads((lora_run / "config.json").read_text())
    assert config["trainable"] == "lora"
    assert config["hyperparameters"]["peft_config"] == {"r": 2, "target_modules": ["q_proj", "o_proj"]}
    shutil.copytree(lora_run, tmp_path / "copy")
    assert cli("train", "--resume", tmp_path / "copy", "--steps", 192, "--quiet").exit_code == 0
    assert json.loads((tmp_path / "copy" / "config.json").read_text())["steps"] == 192


def test_the_export_of_a_run(cli: Cli, lora_run: Path, tmp_path: Path) -> None:
    from transformers import pipeline

    result = cli("export", lora_run, "-o", "out")
    assert result.exit_code == 0, result.output
    assert "exported to: out" in result.stdout and "lm-envs chat out" in result.stdout
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| `reward` |" in card and "learning_curve.png" in card and "Seed" in card
    assert (tmp_path / "out" / "learning_curve.png").read_bytes() == (lora_run / "learning_curve.png").read_bytes()
    generate = pipeline("text-generation", model="out", device="cpu")
    assert generate("the cat", max_new_tokens=4)[0]["generated_text"].startswith("the cat")
    assert not (lora_run / "hf" / "README.md").exists()


def test_the_adapter_alone(cli: Cli, lora_run: Path, small_run: Path, tmp_path: Path) -> None:
    result = cli("export", lora_run, "-o", "out", "--adapter-only")
    assert result.exit_code == 0, result.output
    assert "PeftModel" in (tmp_path / "out" / "README.md").read_text()
    assert (tmp_path / "out" / "adapter_config.json").is_file()
    refused = cli("export", small_run, "-o", "other", "--adapter-only")
    assert refused.exit_code == 2 and "trainable='all'" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_a_zip_without_run_has_a_card_that_says_less(cli: Cli, lora_run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes((lora_run / "model.zip").read_bytes())
    assert cli("export", "model.zip").exit_code == 0
    card = (tmp_path / "export" / "README.md").read_text()
    assert "## Evaluation" not in card and "`trainable`" in card


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny"], "nobody trained here"),
        (["nowhere.zip"], "there is no saved model"),
        (["RUN", "--private"], "--private says how"),
        (["RUN", "--push-to-hub", "name-only"], "expects OWNER/NAME"),
        (["RUN", "--push-to-hub", "me/model"], "HF_HUB_OFFLINE is set"),
        (["RUN", "-o", "RUN"], "is no exported model"),
    ],
)
def test_what_cannot_be_exported(cli: Cli, small_run: Path, arguments: list[str], message: str) -> None:
    result = cli("export", *[str(small_run) if argument == "RUN" else argument for argument in arguments])
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())
    assert not (small_run / "export").exists() and (small_run / "model.zip").is_file()


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the hub could be asked, by somebody who is logged in."""
    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_token")


@pytest.mark.usefixtures("online")
def test_pushing(cli: Cli, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads: list[Any] = []

    def upload(folder: Path, repo_id: str, private: bool) -> str:
        uploads.append((sorted(path.name for path in folder.iterdir()), repo_id, private))
        return "https://huggingface.co/me/model"

    monkeypatch.setattr(hub, "_upload", upload)
    result = cli("export", small_run, "-o", "out", "--push-to-hub", "me/model", "--private")
    assert result.exit_code == 0 and "uploaded to: https://huggingface.co/me/model" in result.stdout
    ((names, repo_id, private),) = uploads
    assert {"README.md", "config.json", "model.safetensors"} <= set(names) and (repo_id, private) == ("me/model", True)
    assert 'model="me/model"' in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.usefixtures("online")
def test_a_failed_upload_leaves_the_export(
    cli: Cli, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upload(*_: Any) -> str:
        raise ConnectionError("403 Forbidden: you need write access")

    monkeypatch.setattr(hub, "_upload", upload)
    result = cli("export", small_run, "-o", "out", "--push-to-hub", "me/model")
    message = " ".join(result.stderr.split())
    assert result.exit_code == 2 and "did not take 'me/model': 403 Forbidden" in message
    assert "hf upload me/model out" in message and (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.usefixtures("online")
def test_without_a_token_nothing_is_exported(cli: Cli, small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    result = cli("export", small_run, "--push-to-hub", "me/model")
    assert result.exit_code == 2 and "hf auth login" in result.stderr and not (small_run / "export").exists()
