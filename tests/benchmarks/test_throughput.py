from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch as th
from rich.console import Console

from benchmarks import throughput
from benchmarks.stopwatch import PHASES, peak_memory
from benchmarks.systems import SYSTEMS, completion_log_probs, largest_divisor, textbook_stride
from benchmarks.throughput_report import compare, print_report, summarise
from benchmarks.worker import measure
from benchmarks.workload import Workload, prepare_model, vocabulary_size
from lm_envs.models import load_language_model
from lm_envs.vocabulary import load_vocabulary


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, lm_folder: str) -> str:
    return prepare_model(lm_folder, tmp_path_factory.mktemp("numbered") / "model")


def toy(folder: str, **changes: Any) -> Workload:
    return Workload(
        folder, **{"prompt_tokens": 3, "new_tokens": 6, "n_envs": 4, "minibatch": 2, "measured_tokens": 48, **changes}
    )


def test_prepared_model_keeps_weights_and_ends_no_text(folder: str, lm_folder: str) -> None:
    assert load_vocabulary(folder).eos_ids == ()
    assert load_language_model(folder).generation_config.eos_token_id is None
    assert vocabulary_size(folder) == 64
    for prepared, original in zip(
        load_language_model(folder).parameters(), load_language_model(lm_folder).parameters(), strict=True
    ):
        assert th.equal(prepared, original)


def test_preparing_leaves_the_shared_model_alone(tmp_path: Path, lm_folder: str) -> None:
    shared = load_language_model(lm_folder)
    prepare_model(lm_folder, tmp_path / "model")
    assert shared.generation_config.eos_token_id is not None and shared.config.eos_token_id is not None


def test_environment_and_generate_get_the_same_prompts(folder: str) -> None:
    workload = toy(folder)
    obs = workload.make_venv().reset()
    assert (obs["attention_mask"].sum(axis=1) == 3).all()
    known = {tuple(row) for row in workload.prompts()}
    assert {tuple(row[:3]) for row in obs["input_ids"]} <= known


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("kl_coef", [0.05, None])
def test_each_system_does_its_work(folder: str, system: str, kl_coef: float | None) -> None:
    result = measure(system, toy(folder, kl_coef=kl_coef))
    assert result["tokens"] == (24 if system == "textbook" else 48)
    assert set(result["seconds"]) == set(PHASES)
    assert result["rollout"] > 0 and result["update"] > 0
    assert result["end_to_end"] == pytest.approx(result["tokens"] / sum(result["seconds"].values()))
    assert result["end_to_end"] < min(result["rollout"], result["update"])
    assert result["peak_memory"] > 50e6
    assert result["note"] == ""


def test_scoring_takes_longer_with_a_reference(folder: str) -> None:
    with_kl, without = (measure("textbook", toy(folder, kl_coef=coef))["seconds"]["scoring"] for coef in (0.05, None))
    assert with_kl > 5 * without


def test_textbook_says_what_it_left_out(folder: str) -> None:
    result = measure("textbook", toy(folder, textbook_transitions=8, textbook_tokens=36))
    assert result["tokens"] == 8
    assert result["note"] == "measured on one transition in 3; minibatches of 4 transitions instead of 12"


def test_bound_computes_the_log_probs_of_the_generated_tokens(folder: str) -> None:
    model = load_language_model(folder)
    sequences = th.randint(64, (2, 7), generator=th.Generator().manual_seed(0))
    full = model(sequences).logits.log_softmax(dim=-1)
    expected = th.stack([full[:, t - 1].gather(1, sequences[:, t, None]).squeeze(1) for t in range(3, 7)], dim=1)
    th.testing.assert_close(completion_log_probs(model, sequences, 4), expected)


def test_stride_is_the_smallest_that_fits() -> None:
    assert textbook_stride(toy("", new_tokens=32, n_envs=64, minibatch=16)) == 1
    assert textbook_stride(toy("", new_tokens=224, n_envs=64, minibatch=16)) == 7
    assert textbook_stride(toy("", new_tokens=7, textbook_transitions=1)) == 7
    assert largest_divisor(2048, 257) == 256


def test_peak_memory_sees_this_process_grow() -> None:
    before = peak_memory("cpu")
    block = bytearray(before + 2**26)
    assert peak_memory("cpu") > before + 2**25
    del block


@pytest.mark.parametrize("text", ["16", "16+", "a+b", "0+4", "4+0", "16x32"])
def test_bad_length_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected PROMPT.NEW"):
        throughput.parse_length(text)


def test_bad_workload_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="minibatch must divide n_envs=4, got 3"):
        toy(folder, minibatch=3)
    with pytest.raises(ValueError, match="new_tokens must be at least 1"):
        toy(folder, new_tokens=0)


def run_of(round_number: int, system: str, new_tokens: int, speed: float, memory: int = 100) -> dict[str, Any]:
    speeds = {"rollout": 3 * speed, "update": 2 * speed, "end_to_end": speed, "peak_memory": memory}
    lengths = {"prompt_tokens": 1, "new_tokens": new_tokens}
    return {"round": round_number, "system": system, **lengths, **speeds, "note": ""}


def test_ratios_are_taken_within_a_round() -> None:
    runs = [
        *(run_of(0, "project", 2, 100, 10), run_of(0, "textbook", 2, 10, 40), run_of(0, "project", 8, 50)),
        *(run_of(1, "project", 2, 10, 10), run_of(1, "textbook", 2, 2, 20), run_of(1, "project", 8, 8)),
    ]
    found = {(row["length"], row["name"]): (row["median"], row["min"], row["max"]) for row in compare(runs)}
    assert found["1+2", "end_to_end, project / textbook"] == (7.5, 5, 10)
    assert found["1+2", "peak_memory, project / textbook"] == (0.375, 0.25, 0.5)
    assert found["1+8", "end_to_end, project / project at 1+2"] == (0.65, 0.5, 0.8)
    assert not any("generate" in name for _, name in found)
    summary = {(row["length"], row["system"]): row["rollout"]["median"] for row in summarise(runs)}
    assert summary["1+2", "project"] == 165


def test_dqn_has_ratios_of_its_own() -> None:
    runs = [run_of(0, "project", 2, 100, 10), run_of(0, "textbook", 2, 10, 40)]
    assert {row["name"]: row["median"] for row in compare(runs, "dqn")} == {
        "update, project / textbook": 10,
        "rollout, project / textbook": 10,
        "end_to_end, project / textbook": 10,
        "peak_memory, project / textbook": 0.25,
    }


def test_systems_belong_to_algorithms(capsys: pytest.CaptureFixture[str]) -> None:
    assert throughput.parse([]).systems == ["project", "textbook", "generate"]
    dqn = throughput.parse(["--algorithm", "dqn"])
    assert dqn.systems == ["project", "textbook"]
    assert dqn.lengths == [(16, 32), (32, 224)]
    assert throughput.parse(["--algorithm", "dqn", "--systems", "textbook"]).systems == ["textbook"]
    with pytest.raises(SystemExit):
        throughput.parse(["--algorithm", "dqn", "--systems", "generate"])
    assert "dqn has the systems project, textbook; got generate" in capsys.readouterr().err


@pytest.mark.slow
def test_command_line_compares_dqn(lm_folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    sizes = "--lengths 2+3 --n-envs 2 --batch-size 3 --warmup 0 --measured-tokens 7 --rounds 1 --replay-transitions 600"
    throughput.main(["--algorithm", "dqn", "--model", lm_folder, "--json", str(file), *sizes.split()])
    result = json.loads(file.read_text())
    assert result["settings"]["algorithm"] == "dqn"
    assert [(run["system"], run["tokens"]) for run in result["runs"]] == [("project", 12), ("textbook", 6)]
    assert [(row["length"], row["actions"]) for row in result["replay_memory"]] == [
        ("2+3", "tokens"),
        ("2+3", "16 candidates"),
    ]
    assert len(result["ratios"]) == 4
    assert "16 candidates" in capsys.readouterr().out


@pytest.mark.slow
def test_command_line_measures_in_fresh_processes(
    lm_folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    options = (
        "--lengths 2+3 --n-envs 2 --minibatch 1 --warmup 0 --measured-tokens 7 --rounds 1 --systems project".split()
    )
    throughput.main(["--model", lm_folder, "--json", str(file), *options])
    result = json.loads(file.read_text())
    assert set(result) == {"benchmark", "settings", "machine", "runs", "summary", "ratios"}
    assert result["settings"]["lengths"] == ["2+3"]
    assert {"date", "commit", "cpu", "cores", "device", "torch", "transformers"} <= set(result["machine"])
    assert [(run["round"], run["system"], run["tokens"]) for run in result["runs"]] == [(0, "project", 12)]
    assert result["ratios"] == []
    assert "2+3" in capsys.readouterr().out


def test_failing_process_is_reported(folder: str) -> None:
    workload = json.dumps({"model": folder, "prompt_tokens": 2, "new_tokens": 2, "minibatch": 3})
    with pytest.raises(RuntimeError, match=r"project failed with exit code 1(.|\n)*minibatch must divide n_envs=64"):
        throughput._in_fresh_process("measure", "project", workload)


def test_systems_take_turns_in_alternating_order(folder: str) -> None:
    plan = list(throughput.plan(toy(folder), [(1, 2), (3, 4)], ["project", "generate"], rounds=2))
    assert [(r, system, w.prompt_tokens, w.new_tokens, w.seed) for r, system, w in plan] == [
        (0, "project", 1, 2, 0),
        (0, "generate", 1, 2, 0),
        (0, "project", 3, 4, 0),
        (0, "generate", 3, 4, 0),
        (1, "generate", 1, 2, 1),
        (1, "project", 1, 2, 1),
        (1, "generate", 3, 4, 1),
        (1, "project", 3, 4, 1),
    ]


def test_report_shows_speeds_memory_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [run_of(0, "project", 2, 1234.4, 2**30), run_of(0, "textbook", 2, 100, 2**31)]
    machine = {"device": "cpu", "cpu": "a processor", "cores": 2, "load_average": 0.1}
    settings = {"model": "tiny", "threads": 1}
    print_report(
        {"machine": machine, "settings": settings, "summary": summarise(runs), "ratios": compare(runs)},
        Console(width=200),
    )
    shown = capsys.readouterr().out
    assert "tiny on cpu, a processor, 1 thread(s)" in shown
    assert "1,234" in shown and "2.00 GiB" in shown
    assert "12.34 (12.34 to 12.34)" in shown
    assert "replay memory" not in shown


def test_report_shows_replay_memory(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [run_of(0, "project", 2, 1234.4)]
    result = {
        "machine": {"device": "cpu", "cpu": "a processor", "cores": 2, "load_average": 0.1},
        "settings": {"model": "tiny", "threads": 1},
        "summary": summarise(runs),
        "ratios": compare(runs, "dqn"),
        "replay_memory": [
            {"length": "1+2", "actions": "tokens", "project": 12.34, "textbook": 500.4, "ratio": 40.55, "stored": 9}
        ],
    }
    print_report(result, Console(width=200))
    shown = capsys.readouterr().out
    assert "replay memory" in shown
    assert all(text in shown for text in ("tokens", "12.3", "500", "40.5"))
