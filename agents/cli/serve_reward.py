"""``lm-envs serve-reward``."""

from __future__ import annotations

import ipaddress
import os
from typing import Annotated

import typer

from agents.cli.messages import console, errors_as_messages, say
from agents.cli.options import Debug


def serve_reward(
    target: Annotated[
        str, typer.Argument(metavar="FOLDER_OR_REWARD", help="A reward model's folder, or a reward such as 'grammar'.")
    ],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0: any free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option("--token", help="Ask for this token. Default: that of LM_ENVS_REWARD_TOKEN.", show_default=False),
    ] = None,
    debug: Debug = False,
) -> None:
    """Score texts over HTTP, for the reward 'remote:http://HOST:PORT'.

    Example: lm-envs serve-reward reward-models/first --port 8000
    """
    with errors_as_messages(debug):
        from agents.reward_models.server import RewardServer, served_reward
        from lm_envs.rewards.remote import TOKEN_VARIABLE

        token = token or os.environ.get(TOKEN_VARIABLE)
        if token is None and not _is_loopback(host):
            say("note", "yellow", f"anybody who reaches {host} can use this server: --token TOKEN asks for a token.")
        with RewardServer(served_reward(target), host, port, token) as server:
            console().print(f"serving {', '.join(server.reward.names)}: --reward remote:{server.url}", soft_wrap=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                console().print("stopped")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
