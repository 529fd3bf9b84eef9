import itertools
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lm_envs.data import PromptDataset, load_dataset
from lm_envs.errors import DataError

EXPECTED_TEST_PROMPTS = ["prompt 10", "prompt 15", "prompt 20", "prompt 26", "prompt 48"]
ROWS: list[dict[str, Any]] = [{"prompt": f"prompt {i}", "answer": f"answer {i}", "level": i} for i in range(200)]
SPLITS = ("train", "validation", "test")
SUFFIXES = ("jsonl", "ndjson", "json", "csv", "tsv", "parquet")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pandas as pd

    frame = pd.DataFrame(rows)
    if path.suffix in (".jsonl", ".ndjson"):
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")
    return path


class TestPromptDataset:
    def test_rows(self) -> None:
        data = PromptDataset(["a", "b"], {"answer": [1, 2]})
        assert len(data) == 2
        assert data.row(1) == {"prompt": "b", "answer": 2}

    def test_column_of_another_length(self) -> None:
        with pytest.raises(DataError, match="column 'answer' has 1 values for 2 prompts"):
            PromptDataset(["a", "b"], {"answer": [1]})

    def test_no_prompts(self) -> None:
        with pytest.raises(DataError, match="at least one prompt"):
            PromptDataset([], {})


class TestSources:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("as_text", [True, False])
    def test_file(self, tmp_path: Path, suffix: str, as_text: bool) -> None:
        path = write(tmp_path / f"data.{suffix}", ROWS)
        data = load_dataset(str(path) if as_text else path)
        in_memory = load_dataset(ROWS)
        assert data.prompts == in_memory.prompts
        assert data.columns["answer"] == in_memory.columns["answer"]
        number = str if suffix in ("csv", "tsv") else int
        assert data.columns["level"] == [number(level) for level in in_memory.columns["level"]]

    def test_strings(self, tmp_path: Path) -> None:
        prompts = [row["prompt"] for row in ROWS]
        expected = load_dataset(ROWS).prompts
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, prompts)))
        (tmp_path / "a.json").write_text(json.dumps(prompts))
        for source in (prompts, tuple(prompts), tmp_path / "a.jsonl", tmp_path / "a.json"):
            data = load_dataset(source, prompt_column="text")
            assert data == PromptDataset(expected, {})

    def test_prompt_data_set_is_returned_as_it_is(self) -> None:
        data = PromptDataset(["a"], {})
        assert load_dataset(data, split="test") is data

    def test_byte_order_mark(self, tmp_path: Path) -> None:
        for name, text in {"a.csv": "prompt,x\nhällo,1\n", "a.jsonl": '{"prompt": "hällo"}'}.items():
            (tmp_path / name).write_text(text, encoding="utf-8-sig")
            assert load_dataset(tmp_path / name).prompts == ["hällo"]

    def test_csv_with_quotes_and_line_ends(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text('prompt,answer\n"one, two\nthree ""four""",x\n')
        assert load_dataset(tmp_path / "a.csv").row(0) == {"prompt": 'one, two\nthree "four"', "answer": "x"}

    def test_missing_values_are_none(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("prompt,answer,hint\na,,x\nb,y\n")
        expected = {"answer": [None, "y"], "hint": ["x", None]}
        assert load_dataset(tmp_path / "a.csv").columns == expected
        rows: list[dict[str, Any]] = [
            {"prompt": "a", "answer": None, "hint": "x"},
            {"prompt": "b", "answer": "y"},
        ]
        assert load_dataset(rows).columns == expected
        assert load_dataset(write(tmp_path / "a.parquet", rows)).columns == expected

    def test_home_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        write(tmp_path / "data.jsonl", ROWS)
        assert load_dataset("~/data.jsonl").prompts == load_dataset(ROWS).prompts


class TestColumns:
    def test_other_prompt_column(self) -> None:
        data = load_dataset(ROWS[:3], prompt_column="answer")
        assert data.prompts == ["answer 0", "answer 1", "answer 2"]
        assert list(data.columns) == ["prompt", "level"]

    @pytest.mark.parametrize("columns", [["answer"], ("answer",), "answer"])
    def test_selection(self, columns: Any) -> None:
        assert list(load_dataset(ROWS[:3], columns=columns).columns) == ["answer"]
        assert load_dataset(ROWS[:3], columns=[]).columns == {}

    def test_missing(self) -> None:
        with pytest.raises(
            DataError, match="column 'promt'. Did you mean 'prompt'.*answer, level, prompt.*prompt_column="
        ):
            load_dataset(ROWS, prompt_column="promt")
        with pytest.raises(DataError, match="column 'answers'. Did you mean 'answer'.*columns="):
            load_dataset(ROWS, columns=["answers"])


class TestHashSplit:
    def test_partition(self) -> None:
        parts = [load_dataset(ROWS, split=split).prompts for split in SPLITS]
        assert sorted(itertools.chain(*parts)) == sorted(row["prompt"] for row in ROWS)
        assert [len(part) for part in parts] == pytest.approx([160, 20, 20], abs=12)

    def test_is_the_same_everywhere(self) -> None:
        """Hash randomisation, the platform and the version of Python have no part in it."""
        assert load_dataset(ROWS, split="test").prompts[:5] == EXPECTED_TEST_PROMPTS

    def test_rows_keep_their_split(self) -> None:
        more = [*reversed(ROWS), *({"prompt": f"new {i}"} for i in range(100))]
        for split in SPLITS:
            assert set(load_dataset(ROWS, split=split).prompts) <= set(load_dataset(more, split=split).prompts)

    def test_equal_prompts_stay_together_in_order(self) -> None:
        parts = [load_dataset(ROWS * 2, split=split) for split in SPLITS]
        assert not set(parts[0].prompts) & set(parts[1].prompts) | set(parts[1].prompts) & set(parts[2].prompts)
        for part in parts:
            half = len(part) // 2
            assert part.prompts[:half] == part.prompts[half:]
            assert part.columns["level"][:half] == sorted(part.columns["level"][:half])

    @pytest.mark.parametrize("n", range(10, 40))
    def test_no_split_is_empty(self, n: int) -> None:
        parts = [load_dataset(ROWS[:n], split=split).prompts for split in SPLITS]
        assert sorted(itertools.chain(*parts)) == sorted(row["prompt"] for row in ROWS[:n])

    @pytest.mark.parametrize("n", [1, 3, 9])
    def test_very_small_source(self, n: int, caplog: pytest.LogCaptureFixture) -> None:
        prompts = [row["prompt"] for row in ROWS[:n]] * 2
        with caplog.at_level(logging.WARNING):
            assert load_dataset(prompts).prompts == prompts
            assert not caplog.records
            assert load_dataset(prompts, split="validation").prompts == prompts
        assert f"only {n} different prompts: too few to split, so validation has the same rows" in caplog.text

    @pytest.mark.parametrize("alias", ["val", "valid", "dev", "eval", "Validation"])
    def test_aliases(self, alias: str) -> None:
        assert load_dataset(ROWS, split=alias) == load_dataset(ROWS, split="validation")

    def test_unknown(self) -> None:
        with pytest.raises(DataError, match="unknown split 'trian'. Did you mean 'train'"):
            load_dataset(ROWS, split="trian")


class TestExplicitSplits:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_folder(self, tmp_path: Path, suffix: str) -> None:
        for name, rows in {"train": ROWS[:3], "val": ROWS[3:5], "test": ROWS[5:6]}.items():
            write(tmp_path / f"{name}.{suffix}", rows)
        (tmp_path / "README.md").write_text("about")
        assert [len(load_dataset(tmp_path, split=split)) for split in SPLITS] == [3, 2, 1]
        assert load_dataset(str(tmp_path), split="validation").prompts == ["prompt 3", "prompt 4"]

    def test_shards_are_joined(self, tmp_path: Path) -> None:
        write(tmp_path / "train-00001-of-00002.jsonl", [{"prompt": "b", "hint": 1}])
        write(tmp_path / "train-00000-of-00002.jsonl", [{"prompt": "a", "answer": 2}])
        write(tmp_path / "test-00000-of-00001.jsonl", [{"prompt": "c"}])
        data = load_dataset(tmp_path)
        assert data.prompts == ["a", "b"]
        assert data.columns == {"answer": [2, None], "hint": [None, 1]}

    def test_split_that_is_not_there(self, tmp_path: Path) -> None:
        write(tmp_path / "train.jsonl", ROWS)
        write(tmp_path / "test.jsonl", ROWS)
        with pytest.raises(DataError, match="unknown split 'validation'.*Known: test, train"):
            load_dataset(tmp_path, split="validation")

    @pytest.mark.parametrize("name", ["train.jsonl", "mine.jsonl"])
    def test_nothing_but_train_is_split_by_hash(self, tmp_path: Path, name: str) -> None:
        write(tmp_path / name, ROWS)
        for split in SPLITS:
            assert load_dataset(tmp_path, split=split) == load_dataset(ROWS, split=split)

    def test_several_files_without_split(self, tmp_path: Path) -> None:
        write(tmp_path / "trainees.jsonl", ROWS)
        write(tmp_path / "b.jsonl", ROWS)
        with pytest.raises(DataError, match="expected train, validation and test.*found b.jsonl, trainees.jsonl"):
            load_dataset(tmp_path)

    def test_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no files for splits.*found nothing"):
            load_dataset(tmp_path)

    def test_split_column(self, tmp_path: Path) -> None:
        rows = [{"prompt": p, "split": s} for p, s in [("a", "train"), ("b", "dev"), ("c", "train"), ("d", "TEST")]]
        for source in (rows, write(tmp_path / "a.csv", rows)):
            assert load_dataset(source) == PromptDataset(["a", "c"], {})
            assert load_dataset(source, split="validation").prompts == ["b"]
            assert load_dataset(source, split="test").prompts == ["d"]

    def test_split_column_lacks_the_split(self) -> None:
        with pytest.raises(DataError, match="unknown split 'test'.*Known: train"):
            load_dataset([{"prompt": "a", "split": "train"}], split="test")

    def test_split_column_with_a_typing_error(self) -> None:
        rows = [{"prompt": "a", "split": "train"}, {"prompt": "b", "split": "vaildation"}]
        with pytest.raises(DataError, match="of row 2 has an unknown split 'vaildation'. Did you mean 'validation'"):
            load_dataset(rows)

    def test_column_that_is_only_called_split(self) -> None:
        rows = [{"prompt": "a", "split": "banana"}, {"prompt": "b", "split": None}]
        assert load_dataset(rows).columns == {"split": ["banana", None]}


class TestBadData:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("content", ["", "\n \n"])
    def test_empty_file(self, tmp_path: Path, suffix: str, content: str) -> None:
        path = tmp_path / f"a.{suffix}"
        path.write_text(content)
        with pytest.raises(
            DataError,
            match="a.parquet is not a valid Parquet file" if suffix == "parquet" else "is empty|has",
        ):
            load_dataset(path)

    def test_header_only(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("prompt,answer\n")
        with pytest.raises(DataError, match="a.csv is empty"):
            load_dataset(tmp_path / "a.csv")

    def test_parquet_without_rows(self, tmp_path: Path) -> None:
        import pandas as pd

        pd.DataFrame({"prompt": []}).to_parquet(tmp_path / "a.parquet")
        with pytest.raises(DataError, match="a.parquet is empty"):
            load_dataset(tmp_path / "a.parquet")

    @pytest.mark.parametrize("source", [[], ()])
    def test_empty_list(self, source: Any) -> None:
        with pytest.raises(DataError, match="is empty: expected at least one row"):
            load_dataset(source)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            (
                "a.jsonl",
                '{"prompt": "a"}\n\n{"prompt": "b"\n',
                r"line 3 of .*a.jsonl is not valid JSON.*begins with: {\"prompt\": \"b\"",
            ),
            ("a.jsonl", '{"prompt": "a"}\n7\n', "line 2 of .* has to be a JSON object or a string, got: 7"),
            ("a.json", '[{"prompt": "a"},]', "a.json is not valid JSON"),
            ("a.json", '{"prompt": "a"}\n{"prompt": "b"}\n', "Is it a file of JSON lines"),
            ("a.json", '{"prompt": "a"}', "has to hold a JSON array of objects or strings, got dict"),
            (
                "a.json",
                '["a", {"prompt": "b"}]',
                "row 2 of .* is {'prompt': 'b'} .dict.; expected rows that are all",
            ),
            (
                "a.csv",
                "prompt,x\na,1\nb, c,2\n",
                "line 3 of .* has more fields than the header, which has 2.*quotes",
            ),
            ("a.csv", "prompt,x\na,1\n,2\n", "row 2 of .* has None .NoneType. in the column 'prompt'"),
            ("a.parquet", "no parquet", "a.parquet is not a valid Parquet file"),
            ("a.xlsx", "?", "unknown file format '.xlsx'.*.jsonl"),
        ],
    )
    def test_malformed_file(self, tmp_path: Path, name: str, content: str, message: str) -> None:
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=message):
            load_dataset(tmp_path / name)

    @pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
    def test_not_utf8(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes("prompt\nhällo".encode("latin-1"))
        with pytest.raises(DataError, match="is not UTF-8 text.*Save it as UTF-8"):
            load_dataset(tmp_path / name)

    @pytest.mark.parametrize(
        ("prompt", "message"),
        [
            (7, r"row 2 of the list of prompts has 7 \(int\) in the column 'prompt'"),
            (None, r"has None \(NoneType\)"),
            ([{"role": "user", "content": "hi"}], "apply_chat_template"),
        ],
    )
    def test_prompt_that_is_no_text(self, prompt: Any, message: str) -> None:
        with pytest.raises(DataError, match=message):
            load_dataset([{"prompt": "a"}, {"prompt": prompt}])

    @pytest.mark.parametrize("source", [3, None, {"prompt": ["a"]}, b"abc"])
    def test_wrong_type(self, source: Any) -> None:
        with pytest.raises(DataError, match="expected a list of prompts or rows, a path, or a data set id"):
            load_dataset(source)

    def test_data_frame(self) -> None:
        import pandas as pd

        with pytest.raises(DataError, match=r"got DataFrame.*to_dict\('records'\)"):
            load_dataset(pd.DataFrame(ROWS))

    def test_column_names_that_are_no_texts(self) -> None:
        with pytest.raises(DataError, match="names of columns have to be texts"):
            load_dataset([{"prompt": "a", 3: "b"}])

    def test_missing_file(self, tmp_path: Path) -> None:
        write(tmp_path / "reviews.jsonl", ROWS)
        with pytest.raises(DataError, match="no file or folder .*review.jsonl'. Did you mean '.*/reviews.jsonl'"):
            load_dataset(str(tmp_path / "review.jsonl"))
        with pytest.raises(DataError, match="no file or folder .*There is no folder .*nowhere either"):
            load_dataset(tmp_path / "nowhere" / "a.jsonl")

    @pytest.mark.parametrize("name", ["missing.csv", "./missing", "a/b/c", "~/missing-folder"])
    def test_paths_are_not_looked_up_on_the_hub(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lm_envs.data.hub.read_hub", lambda *args: pytest.fail("asked the hub"))
        with pytest.raises(DataError, match="no file or folder"):
            load_dataset(name)
