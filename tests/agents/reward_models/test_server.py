from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.reward_models.server import RewardServer, served_reward
from lm_envs.errors import ConfigurationError, LMEnvsError, RewardError
from lm_envs.rewards import RemoteReward, RewardModel, make_reward


@pytest.fixture
def start() -> Iterator[Callable[..., RewardServer]]:
    servers: list[RewardServer] = []

    def run(reward: Any, **settings: Any) -> RewardServer:
        servers.append(RewardServer(make_reward(reward), port=0, **settings))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return servers[-1]

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(server: RewardServer, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


def test_a_folder_over_http_scores_the_same(causal_reward_model: Path, start: Callable) -> None:
    server = start(served_reward(str(causal_reward_model)))
    prompts, completions = ["was it 1?", "a", "was it 22?"], [" good", " bad bad", ""]
    scores = RemoteReward(server.url, batch_size=2)(prompts, completions)
    assert scores == pytest.approx(RewardModel(str(causal_reward_model))(prompts, completions), abs=1e-4)
    assert ask(server, "GET", "/health") == (200, {"status": "ok", "reward": ["model"]})


def test_one_request_is_scored_at_a_time(start: Callable) -> None:
    inside, most = [0], [0]
    busy = threading.Event()

    def slow(prompts: list[str], completions: list[str]) -> list[float]:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        busy.wait(0.05)
        inside[0] -= 1
        return [float(text) for text in completions]

    server = start(slow)
    found: dict[int, list[float]] = {}

    def client(i: int) -> None:
        found[i] = RemoteReward(server.url)(["p"], [str(i)])

    threads = [threading.Thread(target=client, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: [float(i)] for i in range(4)} and most == [1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"scores, please", "the request is no JSON"),
        (b"\xff", "the request is no JSON"),
        (b"[" * 100_000, "the request is no JSON"),
        (b"[1]", "expected an object with prompts and completions, got list"),
        (b"{}", "expected 'prompts' to be a list of texts, got null"),
        (b'{"prompts": ["a"], "completions": "b"}', "expected 'completions' to be a list of texts, got .b."),
        (b'{"prompts": ["a"], "completions": [1]}', "expected 'completions' to be a list of texts"),
        (b'{"prompts": ["a"], "completions": []}', "expected a completion for each prompt, got 1 and 0"),
    ],
)
def test_nonsense_is_refused_and_the_server_lives_on(body: bytes, message: str, start: Callable) -> None:
    server = start("length")
    status, answer = ask(server, "POST", "/", body)
    assert status == 400 and re.search(message, answer["error"])
    assert RemoteReward(server.url)(["a"], ["b"])


def test_addresses_and_sizes(start: Callable) -> None:
    server = start("length")
    assert ask(server, "GET", "/")[0] == ask(server, "POST", "/score", b"{}")[0] == 404
    assert ask(server, "POST", "/", b"", **{"Content-Length": "99999999999"})[0] == 413
    assert ask(server, "POST", "/", b"", **{"Content-Length": "-1"})[0] == 411


def test_a_token_is_asked_for(start: Callable) -> None:
    server = start("length", token="sesame")
    with pytest.raises(RewardError, match="refused the request with 401.*set LM_ENVS_REWARD_TOKEN"):
        RemoteReward(server.url)(["a"], ["b"])
    with pytest.raises(RewardError, match="refused the request with 401"):
        RemoteReward(server.url, token="open")(["a"], ["b"])
    assert RemoteReward(server.url, token="sesame")(["a"], ["b"])
    assert ask(server, "GET", "/health")[0] == 200


def test_a_reward_that_fails(start: Callable) -> None:
    def broken(prompts: list[str], completions: list[str]) -> list[float]:
        raise ZeroDivisionError("of nothing")

    with pytest.raises(RewardError, match="answered 500.*ZeroDivisionError: of nothing"):
        RemoteReward(start(broken).url, retries=0)(["a"], ["b"])


def test_what_cannot_be_served(start: Callable, lm_folder: str) -> None:
    server = start("length")
    with pytest.raises(ConfigurationError, match="cannot listen on 127.0.0.1:.*Take another --port"):
        RewardServer(make_reward("length"), port=server.server_port)

    def each_step(prompts: list[str], completions: list[str]) -> list[float]:
        return [0.0] * len(prompts)

    each_step.per_step = True  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match="paid at every step cannot be served"):
        RewardServer(make_reward(each_step), port=0)
    for target in (lm_folder, "exact_match", "nonsense", "model:./nowhere"):
        with pytest.raises(LMEnvsError):
            served_reward(target)


def test_the_command_serves_until_it_is_stopped() -> None:
    command = [sys.executable, "-m", "agents.cli", "serve-reward", "length:4", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()  # type: ignore[union-attr]
            url = line.split("remote:")[1].strip()
            assert RemoteReward(url)(["a"], ["one two three four"]) == [1.0]
        finally:
            process.terminate()
