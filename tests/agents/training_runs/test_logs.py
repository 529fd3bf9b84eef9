from __future__ import annotations

from pathlib import Path

from agents.training_runs.logs import STEP_COLUMN, CsvLog, JsonLinesLog, read_columns, read_csv, read_json_lines


def test_columns_that_come_later_are_added_to_earlier_rows(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "progress.csv")
    log.write({STEP_COLUMN: 10, "text": 'a "quoted", text'}, {})
    log.write({STEP_COLUMN: 20, "loss": 0.5}, {})
    log.write({STEP_COLUMN: 30, "loss": 0.25, "hidden": 1}, {"hidden": ("csv",)})
    rows = read_csv(tmp_path / "progress.csv")
    assert [row[STEP_COLUMN] for row in rows] == ["10", "20", "30"]
    assert rows[0]["text"] == 'a "quoted", text'
    assert rows[0]["loss"] == "" and "hidden" not in rows[2]
    assert read_columns(tmp_path / "progress.csv", STEP_COLUMN, "loss") == [(20.0, 0.5), (30.0, 0.25)]


def test_a_resumed_log_drops_what_came_after_the_checkpoint_and_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "progress.csv"
    log = CsvLog(path)
    for step in (10, 20, 30):
        log.write({STEP_COLUMN: step, "loss": step / 10}, {})
    with path.open("a") as file:
        file.write("40,4.")  # killed while writing
    resumed = CsvLog(path, after_step=20)
    resumed.write({STEP_COLUMN: 25, "loss": 9}, {})
    assert read_columns(path, STEP_COLUMN, "loss") == [(10.0, 1.0), (20.0, 2.0), (25.0, 9.0)]


def test_a_new_log_starts_empty(tmp_path: Path) -> None:
    path = tmp_path / "progress.csv"
    CsvLog(path).write({STEP_COLUMN: 10}, {})
    CsvLog(path)
    assert read_csv(path) == []


def test_json_lines_are_continued(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    JsonLinesLog(path).append([{"step": 0, "completion": "ü\u2028 a"}, {"step": 64, "completion": "b"}])
    with path.open("a") as file:
        file.write('{"step": 70, "comp')
    JsonLinesLog(path, after_step=10).append([{"step": 20, "completion": "c"}])
    assert [(row["step"], row["completion"]) for row in read_json_lines(path)] == [(0, "ü\u2028 a"), (20, "c")]
