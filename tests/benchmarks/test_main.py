"""One command leads to everything that is measured."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from benchmarks.__main__ import COMMANDS, main


def test_alone_it_prints_the_commands_and_imports_none() -> None:
    code = "import sys; from benchmarks.__main__ import main; main([]); print(sorted(m for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:-1]] == list(COMMANDS)
    assert "torch" not in lines[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_module(command: str) -> None:
    module = importlib.util.find_spec(COMMANDS[command][0])
    assert module is not None
    assert module.origin is not None


def test_arguments_are_handed_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    assert ended.value.code == 0
    assert "python -m benchmarks run" in capsys.readouterr().out


def test_an_unknown_command() -> None:
    with pytest.raises(SystemExit, match="error: unknown command 'rnu'. Did you mean 'run'"):
        main(["rnu"])
