import subprocess
import sys

import pytest

from lm_envs.errors import ModelError, UnknownNameError
from lm_envs.models import aliases, resolve


def test_the_listing_has_every_alias_with_a_description():
    assert {"tiny", "smollm2-135m", "minilm"} <= set(aliases())
    assert all(aliases().values())


def test_a_folder_resolves_to_its_absolute_path(lm_folder, monkeypatch, tmp_path):
    (tmp_path / "link").symlink_to(lm_folder)
    monkeypatch.chdir(tmp_path)
    assert resolve("link") == lm_folder
    assert resolve("./link") == lm_folder


def test_an_alias_wins_over_a_folder_of_the_same_name(lm_folder, monkeypatch, tmp_path):
    (tmp_path / "tiny").symlink_to(lm_folder)
    monkeypatch.chdir(tmp_path)
    assert resolve("tiny") != lm_folder
    assert resolve("./tiny") == lm_folder


@pytest.mark.parametrize("name", ["gpt2", "Qwen/Qwen2.5-0.5B", "HuggingFaceTB/SmolLM2-135M-Instruct"])
def test_anything_in_the_form_of_a_hub_id_is_left_to_the_hub(name):
    assert resolve(name) == name


@pytest.mark.parametrize(("name", "meant"), [("tinny", "tiny"), ("smollm2-135", "smollm2-135m"), ("Tiny", "tiny")])
def test_a_misspelt_alias_gets_a_suggestion(name, meant):
    with pytest.raises(UnknownNameError, match=f"unknown model '{name}'. Did you mean '{meant}'"):
        resolve(name)


@pytest.mark.parametrize("name", ["/no/such/folder", "./missing", "~/missing-model", "a/b/c", "has space"])
def test_a_path_that_is_not_there_is_named(name):
    with pytest.raises(ModelError, match=f"no model folder '{name}'.*alias .*tiny"):
        resolve(name)


def test_a_folder_without_config_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json.*save_pretrained"):
        resolve(str(tmp_path))


def test_a_file_is_no_model(tmp_path):
    path = tmp_path / "model.safetensors"
    path.touch()
    with pytest.raises(ModelError, match="is a file.*Pass the folder"):
        resolve(str(path))


@pytest.mark.parametrize("name", [None, 3, "", object()])
def test_a_model_is_given_by_its_name(name):
    with pytest.raises(ModelError, match="given by its name, got"):
        resolve(name)


def test_importing_the_package_imports_neither_torch_nor_transformers():
    heavy = {"torch", "transformers", "tokenizers", "huggingface_hub"}
    code = f"import sys, lm_envs.models; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
