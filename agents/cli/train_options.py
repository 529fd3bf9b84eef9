"""The options of ``lm-envs train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EnvId = Annotated[str | None, typer.Argument(help="Environment id.", show_default="TextGen-v0")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="Alias, hub id or folder.", show_default="tiny")]
Algorithm = Annotated[str | None, typer.Option("--algo", "-a", help="Algorithm.", show_default="ppo")]
Observation = Annotated[
    str | None, typer.Option(help="tokens, or hidden: states of the frozen model for an MLP.", show_default="tokens")
]
Candidates = Annotated[
    int | None,
    typer.Option(help="Actions are the model's K likeliest tokens; 0: all tokens.", metavar="K", show_default=False),
]
ConfFile = Annotated[
    Path | None, typer.Option(help="Hyperparameters in RL-Zoo's YAML format.", show_default="the recipe's")
]
Steps = Annotated[
    int | None, typer.Option("--steps", "-n", help="Environment steps (tokens); with --resume the new total.")
]
RunSeed = Annotated[int | None, typer.Option("--seed", "-s", help="Seed of everything random.", show_default="0")]
NEnvs = Annotated[int | None, typer.Option("--n-envs", help="Environments side by side.")]
Run = Annotated[Path | None, typer.Option("--run", help="Run folder.", show_default="runs/ENV-TASK-ALGO-...")]
Resume = Annotated[Path | None, typer.Option("--resume", help="Go on with this run folder.")]
Hyperparameter = Annotated[
    list[str] | None,
    typer.Option(
        "--hyperparameter",
        "-H",
        metavar="KEY=VALUE",
        help="Argument of the algorithm or of the policy. Example: -H learning_rate=1e-4.",
        show_default=False,
    ),
]
KLCoef = Annotated[float | None, typer.Option(help="Penalty per nat from the pretrained model; on-policy only.")]
KLTarget = Annotated[
    float | None,
    typer.Option(help="Nats an episode to steer to; 0: fixed coefficient."),
]
MaskEvery = Annotated[
    int | None, typer.Option(help="NLPO: rollouts from one renewal of the mask to the next.", metavar="N")
]
KLReference = Annotated[
    str | None, typer.Option(help="Model that the divergence is measured from.", show_default="the run's own")
]
KLStop = Annotated[
    float | None,
    typer.Option("--stop-kl", "--kl-stop", help="Stop above so many nats an episode; on-policy only.", metavar="NATS"),
]
Trainable = Annotated[str | None, typer.Option(help="all, top:N, lora or heads.", show_default="the recipe's")]
DType = Annotated[str | None, typer.Option(help="float32 or bfloat16.", show_default="float32")]
RunDevice = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default="auto")]
EvalPrompts = Annotated[int | None, typer.Option(help="Held-out prompts before and after.")]
EvalEvery = Annotated[int | None, typer.Option(help="Steps between evaluations on validation prompts.", metavar="N")]
EarlyStopping = Annotated[int | None, typer.Option(help="Stop after N validations without improvement.", metavar="N")]
CheckpointEvery = Annotated[int | None, typer.Option(help="Steps between checkpoints.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
