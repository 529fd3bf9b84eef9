from __future__ import annotations

import json
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import gymnasium as gym
import pytest

import lm_envs  # noqa: F401 - registers the environments
from lm_envs.errors import ConfigurationError, RewardError
from lm_envs.rewards import RemoteReward, make_reward

Answer = tuple[int, Any]


class Server(ThreadingHTTPServer):
    """Answers each request with the next of some functions of the request; the last one stays."""

    daemon_threads = True

    def __init__(self, *answers: Callable[[dict], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.requests: list[dict] = []
        self.headers: list[dict] = []
        self.release = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/score?v=1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        server = self.server
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.requests.append(request)
        server.headers.append({"path": self.path, **self.headers})
        answer = server.answers[min(len(server.requests), len(server.answers)) - 1](request)
        if answer[0] == 0:  # hang up
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if answer[0] == 1:  # say nothing
            server.release.wait(20)
            return
        body = answer[1] if isinstance(answer[1], bytes) else json.dumps(answer[1]).encode()
        is_cut_short = answer[0] == 2
        self.send_response(200 if is_cut_short else answer[0])
        self.send_header("Content-Length", str(len(body) + 9 * is_cut_short))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def lengths(request: dict) -> Answer:
    return 200, {
        "scores": [len(p) + len(c) / 100 for p, c in zip(request["prompts"], request["completions"], strict=True)]
    }


def always(status: int, content: Any = None) -> Callable[[dict], Answer]:
    return lambda request: (status, content)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*answers: Callable[[dict], Answer]) -> Server:
        servers.append(Server(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.release.set()
        server.shutdown()
        server.server_close()


def remote(server: Server, **settings: Any) -> RemoteReward:
    return RemoteReward(server.url, **{"backoff": 0.01, "timeout": 5.0, **settings})


def test_batches_in_order(serve: Callable) -> None:
    server = serve(lengths)
    reward = remote(server, batch_size=2)
    assert reward(["a", "ab", "abc"], ["x", None, "xyz é"]) == [1.01, 2.0, 3.05]
    assert server.requests == [
        {"prompts": ["a", "ab"], "completions": ["x", ""]},
        {"prompts": ["abc"], "completions": ["xyz é"]},
    ]
    assert {header["path"] for header in server.headers} == {"/score?v=1"}
    assert reward([], []) == []


def test_an_environment_pays_it(serve: Callable, lm_folder: str) -> None:
    server = serve(lengths)
    env = gym.make(
        "TextGen-v0", model=lm_folder, dataset=["was it 5?"], reward=f"remote:{server.url},timeout=5", max_new_tokens=1
    )
    env.reset(seed=0)
    _, reward, terminated, truncated, _ = env.step(20)
    assert (terminated or truncated) and reward > 9
    assert server.requests[-1]["prompts"] == ["was it 5?"]


@pytest.mark.parametrize("failure", [(0, None), (500, {"error": "loading"}), (503, b""), (2, b"{}")])
def test_what_passes_is_tried_again(failure: Answer, serve: Callable) -> None:
    server = serve(always(*failure), always(*failure), lengths)
    assert remote(server, retries=2)(["a"], ["x"]) == [1.01]
    assert len(server.requests) == 3


def test_a_pause_doubles(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("lm_envs.rewards.remote.time.sleep", pauses.append)
    with pytest.raises(RewardError, match=r"failed 4 time\(s\); the last time, it answered 500: '.*no memory.*resume"):
        remote(serve(always(500, {"error": "no memory"})), backoff=0.5)(["a"], ["x"])
    assert pauses == [0.5, 1.0, 2.0]


def test_a_server_that_says_nothing(serve: Callable) -> None:
    server = serve(always(1))
    with pytest.raises(RewardError, match=r"failed 2 time\(s\).*gave no answer within 0.2 seconds.*Nothing that was"):
        remote(server, timeout=0.2, retries=1)(["a"], ["x"])
    assert len(server.requests) == 2


def test_a_server_that_dies_in_between(serve: Callable) -> None:
    server = serve(lengths, always(0))
    with pytest.raises(RewardError, match=r"failed 2 time\(s\).*the connection broke"):
        remote(server, batch_size=1, retries=1)(["a", "b"], ["x", "y"])
    assert [request["prompts"] for request in server.requests] == [["a"], ["b"], ["b"]]


def test_no_server() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else takes the port
        taken.bind(("127.0.0.1", 0))
        reward = RemoteReward(f"http://127.0.0.1:{taken.getsockname()[1]}", retries=0)
        with pytest.raises(RewardError, match="there was no server at that address.*lm-envs serve-reward.*--resume"):
            make_reward(reward)(["a"], ["x"])


@pytest.mark.parametrize("status", [400, 404, 302])
def test_a_refusal_is_not_repeated(status: int, serve: Callable) -> None:
    server = serve(always(status, {"error": "no such thing"}))
    with pytest.raises(RewardError, match=f"refused the request with {status}: '.*no such thing.*address is complete"):
        remote(server)(["a"], ["x"])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>hello</html>", "expected the JSON .*got '<html>hello</html>'"),
        (b"\xff\xfe", "expected the JSON"),
        (b"", "expected the JSON .*got ''"),
        ([1.0, 2.0], "expected the JSON"),
        ({"score": [1.0, 2.0]}, "expected the JSON"),
        ({"scores": 1.0}, "expected 2 scores, one for each completion, got 1.0 in place"),
        ({"scores": [1.0]}, "expected 2 scores, one for each completion, got 1 of them"),
        ({"scores": [1.0, 2.0, 3.0]}, "expected 2 scores.*got 3 of them"),
        ({"scores": [1.0, float("nan")]}, "expected finite numbers, got nan as score number 1"),
        (b'{"scores": [1e999, 1]}', "expected finite numbers, got inf as score number 0"),
        ({"scores": [10**400, 1]}, "expected finite numbers, got 1000.* as score number 0"),
        ({"scores": ["1.0", 2.0]}, "expected finite numbers, got '1.0' as score number 0"),
        ({"scores": [None, 2.0]}, "expected finite numbers, got None"),
        ({"scores": [True, 2.0]}, "expected finite numbers, got True"),
    ],
)
def test_nonsense(content: Any, message: str, serve: Callable) -> None:
    server = serve(always(200, content))
    with pytest.raises(
        RewardError, match=f"reward server {server.url.split('/score')[0]}.* answered nonsense: {message}"
    ):
        remote(server)(["a", "b"], ["x", "y"])
    assert len(server.requests) == 1


def test_the_token_is_sent_and_kept_to_itself(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(lengths)
    remote(server)(["a"], ["x"])
    monkeypatch.setenv("LM_ENVS_REWARD_TOKEN", "from outside")
    remote(server)(["a"], ["x"])
    remote(server, token="own")(["a"], ["x"])
    assert [header.get("Authorization") for header in server.headers] == [None, "Bearer from outside", "Bearer own"]
    assert "secret" not in repr(remote(server, token="secret"))


def test_pickle(serve: Callable) -> None:
    reward = remote(serve(lengths), batch_size=3)
    copy = pickle.loads(pickle.dumps(reward))
    assert copy == reward and copy(["a"], ["x"]) == [1.01]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("remote", "the reward 'remote' needs url="),
        ("remote:localhost:8000", "needs the address of a server.*got 'localhost:8000'"),
        ("remote:ftp://localhost", "needs the address of a server"),
        ("remote:http://", "needs the address of a server"),
        ("remote:http://localhost:port", "needs the address of a server"),
        ("remote:8000", "needs the address of a server.*got 8000"),
        (
            "remote:http://localhost,timeout=0",
            "timeout of the reward 'remote' has to be a number of seconds > 0, got 0",
        ),
        ("remote:http://localhost,timeout=soon", "timeout of the reward 'remote'.*got 'soon'"),
        ("remote:http://localhost,backoff=-1", "backoff of the reward 'remote' has to be a number of seconds >= 0"),
        ("remote:http://localhost,retries=-1", "retries of the reward 'remote' has to be an integer >= 0, got -1"),
        ("remote:http://localhost,batch_size=0", "batch_size of the reward 'remote' has to be an integer >= 1"),
    ],
)
def test_wrong_parameters(spec: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_reward(spec)
