"""Train on your own JSON lines file: `python examples/own_data.py [steps] [folder]`.

The file has a prompt in each line, and here also the words that the completion should contain. Such further columns
reach the reward under their own names. CSV, Parquet and `datasets` ids work the same way. The same from a shell:

    lm-envs train TextGen-v0 --dataset questions.jsonl --env-kwarg prompt_column=question --reward keywords
"""

import json
import sys
import tempfile
from pathlib import Path

from agents.recipes.train_config import make_config
from agents.training_runs.training import train

PRODUCTS = ("lamp", "kettle", "bicycle", "jacket", "camera", "tent", "chair", "radio")
OPENINGS = ("My {} is", "I bought this {} and", "The {} that we use is", "They sold me a {}.", "Our old {} was")


def write_data(path: Path) -> None:
    """Forty lines: a question, and the words wanted in the answer."""
    rows = [
        {"question": opening.format(product), "keywords": ["great", product]}
        for product in PRODUCTS
        for opening in OPENINGS
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))


def main(steps: int, folder: Path) -> None:
    """Write the file, train, and print the results on the lines that were held out."""
    folder.mkdir(parents=True, exist_ok=True)
    write_data(folder / "questions.jsonl")
    config = make_config(
        "TextGen-v0",
        dataset=str(folder / "questions.jsonl"),
        reward="keywords",
        env_kwargs={"prompt_column": "question", "max_new_tokens": 16},
        steps=steps,
        n_envs=16,
        hyperparameters={"n_steps": 16, "batch_size": 128},
    )
    run = train(config, folder / "run", on_stage=print)
    results = run.read_evaluation()
    for moment in ("before", "after"):
        print(moment, {name: round(value["mean"], 3) for name, value in results[moment]["metrics"].items()})
    print(f"everything about the run: {run.path}")


if __name__ == "__main__":
    where = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp(prefix="own_data_"))
    main(steps=int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, folder=where)
