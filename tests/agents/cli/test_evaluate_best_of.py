"""``lm-envs evaluate --best-of``: one more column, chosen by a reward of one's own."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from agents.cli.application import app


def run(*arguments: str, lm_folder: str, folder: Path) -> tuple[int, str]:
    data = folder / "prompts.jsonl"
    data.write_text("\n".join(json.dumps({"prompt": f"the good {number}"}) for number in range(60)))
    given = ["evaluate", lm_folder, "--dataset", str(data), "--reward", "length:target=8,unit=characters"]
    given += ["-E", "max_prompt_tokens=12", "-E", "max_new_tokens=6", "--prompts", "4", *arguments]
    done = CliRunner().invoke(app, given)
    return done.exit_code, done.output


def test_the_best_of_several_texts_have_a_column(lm_folder: str, tmp_path: Path) -> None:
    code, output = run("--best-of", "3", "--json", lm_folder=lm_folder, folder=tmp_path)
    columns = json.loads(output)
    assert code == 0 and set(columns) == {"model", "best of 3"}
    best = columns["best of 3"]
    assert best["best_of_n"]["n"] == 3 and best["best_of_n"]["tokens"] > 0
    assert best["metrics"]["kl"]["mean"] == best["best_of_n"]["kl_bound"]
    assert "reward" in best["difference"] and best["n_prompts"] == columns["model"]["n_prompts"]


def test_the_table_says_what_it_cost(lm_folder: str, tmp_path: Path) -> None:
    by = ("--by", "length:target=1,unit=characters")
    code, output = run("--best-of", "2", *by, lm_folder=lm_folder, folder=tmp_path)
    assert code == 0 and "best of 2: " in output and "tokens were written" in output


def test_a_chooser_alone_is_refused(lm_folder: str, tmp_path: Path) -> None:
    code, output = run("--by", "sentiment", lm_folder=lm_folder, folder=tmp_path)
    assert code == 2 and "give --best-of N" in output
