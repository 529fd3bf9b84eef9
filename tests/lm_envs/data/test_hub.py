import sys
from pathlib import Path
from typing import Any

import pytest

from lm_envs.data import load_dataset
from lm_envs.errors import DataError, MissingDependencyError

ROWS: list[dict[str, Any]] = [{"prompt": f"prompt {i}", "level": i} for i in range(200)]
SPLITS = ("train", "validation", "test")


class TestDatasetsLibrary:
    def test_saved_to_disk(self, tmp_path: Path) -> None:
        import datasets

        whole = datasets.Dataset.from_list(ROWS)
        whole.save_to_disk(tmp_path / "one")
        parts = datasets.DatasetDict({"train": whole.select(range(3)), "extra": whole.select(range(3, 5))})
        parts.save_to_disk(tmp_path / "parts")
        for split in SPLITS:
            assert load_dataset(tmp_path / "one", split=split) == load_dataset(ROWS, split=split)
        assert load_dataset(tmp_path / "parts").prompts == ["prompt 0", "prompt 1", "prompt 2"]
        assert load_dataset(tmp_path / "parts", split="extra").columns["level"] == [3, 4]
        with pytest.raises(DataError, match="unknown split 'test'.*Known: extra, train"):
            load_dataset(tmp_path / "parts", split="test")

    def test_objects(self) -> None:
        import datasets

        whole = datasets.Dataset.from_list(ROWS)
        assert load_dataset(whole, split="test") == load_dataset(ROWS, split="test")
        assert len(load_dataset(datasets.DatasetDict({"train": whole, "test": whole}), split="test")) == 200

    def test_damaged_folder(self, tmp_path: Path) -> None:
        (tmp_path / "state.json").write_text("{")
        with pytest.raises(DataError, match="cannot read the data set in"):
            load_dataset(tmp_path)

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [("owner/name", ("owner/name", None)), ("owner/name:main", ("owner/name", "main"))],
    )
    def test_hub(self, name: str, arguments: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
        import datasets

        def load(*args: Any) -> Any:
            assert args == arguments
            return datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)})

        monkeypatch.setattr(datasets, "load_dataset", load)
        assert load_dataset(name, split="test") == load_dataset(ROWS, split="test")

    def test_hub_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import datasets

        def load(*args: Any) -> Any:
            raise ConnectionError("no network")

        monkeypatch.chdir(tmp_path)
        (tmp_path / "reviews.jsonl").touch()
        monkeypatch.setattr(datasets, "load_dataset", load)
        with pytest.raises(
            DataError, match="could be loaded from the hub .ConnectionError: no network.*mean 'reviews.jsonl'"
        ):
            load_dataset("reviews")

    def test_not_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(MissingDependencyError, match=r"no file or folder 'owner/name'.*lm-envs\[data\]"):
            load_dataset("owner/name")

    def test_pyarrow_not_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.parquet").touch()
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(
            MissingDependencyError, match=r"reading a.parquet needs the package 'pyarrow'.*lm-envs\[data\]"
        ):
            load_dataset(tmp_path / "a.parquet")
