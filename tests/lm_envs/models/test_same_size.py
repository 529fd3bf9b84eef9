from __future__ import annotations

from pathlib import Path

import pytest

from lm_envs.errors import ModelError
from lm_envs.models import load_language_model
from lm_envs.models.same_size import same_size


def test_a_model_trained_further_has_the_same_size(tmp_path: Path) -> None:
    load_language_model("tiny").save_pretrained(tmp_path / "further")
    assert same_size(str(tmp_path / "further"), "tiny")


def test_another_model_has_not(lm_folder: str) -> None:
    assert not same_size(lm_folder, "tiny")


def test_models_that_are_not_here_are_compared_by_name() -> None:
    assert same_size("some/model", "some/model")
    assert not same_size("some/model", "another/model")


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        same_size(str(tmp_path / "nowhere"), "tiny")
