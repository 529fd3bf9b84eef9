"""Data sets of the library ``datasets``: from the Hugging Face hub, or saved to a folder."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from lm_envs.data.tables import Table
from lm_envs.errors import DataError, MissingDependencyError


def is_saved_data_set(folder: Path) -> bool:
    """Whether ``datasets`` saved this folder with ``save_to_disk``."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def read_saved(folder: Path) -> dict[str, Table]:
    """Read a folder that ``save_to_disk`` wrote, split by split; the split ``""`` if it has none.

    Raises:
        DataError: The folder is damaged.
        MissingDependencyError: ``datasets`` is not installed.
    """
    datasets = _import_datasets(f"reading the data set in {folder}")
    try:
        return tables_of(datasets.load_from_disk(str(folder)))
    except Exception as error:  # the library lets through errors of pyarrow, json and the file system
        raise DataError(f"cannot read the data set in {folder}: {error}.") from error


def read_hub(name: str, hint: str) -> dict[str, Table]:
    """Load a data set by its id, split by split.

    Args:
        name: ``"owner/name"``, or ``"owner/name:configuration"``.
        hint: What to add to the message if it cannot be loaded.

    Raises:
        DataError: It cannot be loaded.
        MissingDependencyError: ``datasets`` is not installed.
    """
    datasets = _import_datasets(f"there is no file or folder {name!r}.{hint} Loading it as a data set id")
    path, _, configuration = name.partition(":")
    try:
        return tables_of(datasets.load_dataset(path, configuration or None))
    except Exception as error:  # no network, unknown id, configuration missing: each has its own class
        raise DataError(
            f"{name!r} is neither a file or folder here nor a data set that could be loaded from the hub "
            f"({type(error).__name__}: {error}).{hint}"
        ) from error


def tables_of(data: Any) -> dict[str, Table]:
    """The columns of a ``datasets.Dataset`` (as split ``""``) or of each split of a ``DatasetDict``."""
    splits = data if isinstance(data, dict) else {"": data}
    return {str(name): dict(split.to_dict()) for name, split in splits.items()}


def is_data_set(source: Any) -> bool:
    """Whether ``source`` is a ``Dataset`` or ``DatasetDict``; does not import the library to find out."""
    return type(source).__module__.partition(".")[0] == "datasets" and hasattr(source, "column_names")


def _import_datasets(purpose: str) -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError.for_package("datasets", "data", purpose) from error
    return datasets
