"""The user's own texts with what should be written about each: summaries of documents, translations of sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_envs.errors import DataError

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset
    from lm_envs.data.tables import Table


@dataclass(frozen=True)
class OwnTexts:
    """Makes prompts with the columns ``source`` and ``reference`` of rows in the forms that data sets have.

    Args:
        source_columns: Names that data sets have for the text; the first that is there counts. A dot reaches into a
            mapping: ``"translation.en"``.
        reference_columns: Names for what should be written.
        template: The prompt; ``{source}`` is the text.
    """

    source_columns: tuple[str, ...]
    reference_columns: tuple[str, ...]
    template: str

    def __call__(
        self,
        dataset: Any,
        split: str,
        columns: Sequence[str] | None = None,
        template: str | None = None,
        source_column: str | None = None,
        reference_column: str | None = None,
    ) -> PromptDataset:
        """The prompts of a split.

        Args:
            dataset: The rows, as :func:`lm_envs.data.load_dataset` takes them; a ``PromptDataset`` stays as it is.
            split: Which part; a source that does not say what its splits are is split by the texts.
            columns: Further columns to keep; None keeps all.
            template: The prompt. Its fields are ``{source}`` and the names of the columns.
            source_column: The column with the texts; None looks for the usual names.
            reference_column: The column with what should be written: a text or a list of texts in each row.

        Raises:
            ConfigurationError: The template has a field that is no column.
            DataError: The data are missing or malformed: a column is not there, a text or a reference is empty. The
                message says which row.
            MissingDependencyError: The data need a package that is not installed.
        """
        from lm_envs.data import PromptDataset
        from lm_envs.data.loading import load_table
        from lm_envs.data.templates import check_template, fill

        if isinstance(dataset, PromptDataset):
            references = _column(dataset.columns, None, ("reference",), "the PromptDataset", "reference_column")
            _check({"source": dataset.prompts, "reference": references}, "source", "the PromptDataset")
            return dataset

        def prepare(table: Table, place: str) -> Table:
            texts = _column(table, source_column, self.source_columns, place, "source_column")
            references = _column(table, reference_column, self.reference_columns, place, "reference_column")
            return {**table, "source": texts, "reference": references}

        kept = None if columns is None else ["reference", *columns]
        table = load_table(dataset, "source", split, kept, _check, kind="texts", prepare=prepare)
        template = check_template(self.template if template is None else template, table)
        rows = ({name: values[i] for name, values in table.items()} for i in range(len(table["source"])))
        return PromptDataset([fill(template, row) for row in rows], table)


def _column(table: Table, name: str | None, usual: Sequence[str], place: str, argument: str) -> list[Any]:
    """The values of a column by its name, or by the usual ones."""
    names = usual if name is None else (name,)
    for candidate in names:
        column, _, key = candidate.partition(".")
        if candidate in table:
            return table[candidate]
        if key and column in table:
            return [_entry(value, key, f"row {row} of {place}") for row, value in enumerate(table[column], start=1)]
    raise DataError(
        f"{place} has none of the columns {', '.join(map(repr, names))}, only {', '.join(map(repr, table))}. "
        f"Name the one that is meant: dataset_kwargs={{'{argument}': ...}}"
    )


def _entry(value: Any, key: str, place: str) -> Any:
    if not isinstance(value, Mapping) or key not in value:
        raise DataError(f"{place} has {value!r:.80} where a mapping with the key {key!r} was expected.")
    return value[key]


def _check(table: Table, column: str, place: str) -> None:
    """Check all rows before they are split, so that messages have the source's own numbers."""
    if not table[column]:
        raise DataError(f"{place} is empty: expected at least one row.")
    for number, (text, reference) in enumerate(zip(table[column], table["reference"], strict=True), start=1):
        references = reference if isinstance(reference, (list, tuple)) and reference else [reference]
        for kind, value in (("text", text), *(("reference", item) for item in references)):
            if not isinstance(value, str) or not value.strip():
                raise DataError(
                    f"row {number} of {place} has the {kind} {value!r:.80}; expected a text that is not empty. Fill it "
                    "in, or leave the row out."
                )
