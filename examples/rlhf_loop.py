"""From feedback to a trained model, two rounds: `python examples/rlhf_loop.py [folder] [prompts] [steps]`.

In each round the present model writes two completions for each of some prompts, an annotator compares them, a reward
model learns from all comparisons so far, and PPO trains the language model against it, held by a KL penalty. Here the
annotator is simulated: it wants pleased and well-formed reviews, which nobody else is told. Let people answer instead
by `lm-envs label FOLDER/feedback.sqlite`. Interrupted, the script goes on where it was.
"""

import json
import sys
from pathlib import Path

from agents import FeedbackStore, SimulatedAnnotator
from agents.evaluation import evaluate
from agents.evaluation.pretrained_policy import pretrained_policy
from agents.rlhf import feedback_round
from lm_envs import rewards


def hidden(prompts: list[str], completions: list[str], **columns: list) -> list[float]:
    """What the annotator wants: the sentiment of a review, where it is well-formed."""
    sentiment, grammar = rewards.get("sentiment"), rewards.get("grammar")
    return [a * b for a, b in zip(sentiment(prompts, completions), grammar(prompts, completions), strict=True)]


def measure(model: str) -> float:
    """The hidden reward of a model's completions of held-out prompts."""
    env_kwargs = {"task": "reviews", "reward": hidden, "model": model}
    found = evaluate(pretrained_policy("TextGen-v0", env_kwargs), env_kwargs=env_kwargs)
    print(f"  hidden reward on held-out prompts: {found.metrics['reward'].mean:.3f}")
    print(f"  for example: {found.completions[0].prompt}{found.completions[0].completion}")
    return found.metrics["reward"].mean


def main(folder: Path, n_prompts: int, steps: int) -> None:
    """Go round twice."""
    folder.mkdir(parents=True, exist_ok=True)
    store = FeedbackStore(folder / "feedback.sqlite")
    annotator = SimulatedAnnotator(hidden, temperature=0.05, tie_margin=0.1, seed=0)
    model = "tiny"
    print("before")
    measure(model)
    for number in (1, 2):
        print(f"round {number}")
        done = feedback_round(
            folder / f"round_{number}",
            model,
            store,
            annotator.answer_store,
            n_prompts=n_prompts,
            task="reviews",
            steps=steps,
            eval_prompts=64,
            reference="tiny",
            kl_coef=0.2,
            kl_target=3.0 * number,  # the second reward model knows more, so it may be followed further
            seed=number,
            on_stage=lambda stage: print(f"  {stage} ..."),
        )
        report = json.loads((done.reward_model / "report.json").read_text())
        print(f"  the reward model is right about {report['measures']['accuracy']['mean']:.0%} of held-out pairs")
        model = done.model
        measure(model)
    print(f"talk to it: lm-envs chat {model}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(
        folder=Path(arguments[0]) if arguments else Path("runs/rlhf_loop"),
        n_prompts=int(arguments[1]) if len(arguments) > 1 else 500,
        steps=int(arguments[2]) if len(arguments) > 2 else 60_000,
    )
