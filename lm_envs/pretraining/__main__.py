"""Command line: ``python -m lm_envs.pretraining --out lm_envs/models/tiny --seed 0``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from lm_envs.pretraining.saving import save
from lm_envs.pretraining.tokenizer import build_tokenizer
from lm_envs.pretraining.training import TrainingConfig, train

DEFAULT_OUT = Path(__file__).parent.parent / "models" / "tiny"


def main(arguments: list[str] | None = None) -> None:
    """Build the tokenizer, train the model, measure it, and write everything to a folder."""
    parser = argparse.ArgumentParser(prog="python -m lm_envs.pretraining", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=TrainingConfig().steps, help="optimizer steps in all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the text and of the weights")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder that receives the model")
    options = parser.parse_args(arguments)
    config = TrainingConfig(seed=options.seed).scaled(options.steps)
    started = time.monotonic()
    tokenizer = build_tokenizer(config.seed)
    model = train(tokenizer, config)
    save(model, tokenizer, config, options.out, minutes=(time.monotonic() - started) / 60)


if __name__ == "__main__":
    main()
