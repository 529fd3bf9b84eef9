"""The peer of the PPO comparison: TRL's own GRPO trainer on the same workload."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import torch as th
from transformers import TrainerCallback

from benchmarks.stopwatch import Stopwatch
from benchmarks.systems import GROUP, LEARNING_RATE, Outcome
from benchmarks.workload import Workload, even_share
from lm_envs.errors import MissingDependencyError
from lm_envs.models.quiet import quiet_transformers


def run_trl(workload: Workload) -> Outcome:
    """TRL's ``GRPOTrainer``: as many episodes in an iteration, groups of eight on one prompt, one epoch.

    Generating, scoring under the policy and the reference, and rewards are TRL's ``rollout`` here, since one method
    does all of it; the rest is its ``update``.

    Raises:
        MissingDependencyError: TRL is not installed.
    """
    try:
        import trl
    except ImportError as error:
        raise MissingDependencyError.for_package("trl", "peers", "--peer trl") from error
    trainer_class: Any = trl.GRPOTrainer
    watch = Stopwatch(workload.device, workload.clock)
    total = workload.warmup + workload.iterations
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        trainer = trainer_class(
            model=_model(workload),
            reward_funcs=even_share,
            args=_arguments(workload, folder, total),
            train_dataset=_prompts(workload, total),
            processing_class=_tokenizer(workload),
            callbacks=[_EndOfUpdates(watch, workload.n_envs // workload.minibatch)],
        )
        trainer._generate_and_score_completions = _timed(trainer._generate_and_score_completions, watch)
        trainer.train()
    return Outcome(watch.iterations[workload.warmup :], workload.tokens, "scoring is part of the rollout")


def _arguments(workload: Workload, folder: str, iterations: int) -> Any:
    from trl import GRPOConfig

    steps = workload.n_envs // workload.minibatch
    return GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=workload.minibatch,
        steps_per_generation=steps,
        gradient_accumulation_steps=1,
        num_generations=GROUP,
        max_completion_length=workload.new_tokens,
        max_steps=iterations * steps,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        beta=workload.kl_coef or 0.0,
        temperature=1.0,
        top_k=0,
        activation_checkpointing=False,
        bf16=False,
        use_cpu=th.device(workload.device).type == "cpu",
        seed=workload.seed,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def _model(workload: Workload) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(workload.model, dtype=getattr(th, workload.dtype))


def _tokenizer(workload: Workload) -> Any:
    """The workload's tokenizer with an end-of-text token that the model has no logit for, as TRL asks for one."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(workload.model)
    tokenizer.add_special_tokens({"eos_token": "<never>", "pad_token": "<never>"})
    return tokenizer


def _prompts(workload: Workload, iterations: int) -> Any:
    """One prompt for each group of all iterations."""
    from datasets import Dataset

    texts = [" ".join(f"t{token}" for token in row) for row in workload.prompts()]
    needed = iterations * workload.n_envs // GROUP
    return Dataset.from_dict({"prompt": [texts[number % len(texts)] for number in range(needed)]})


def _timed(generate: Callable[..., Any], watch: Stopwatch) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        watch.start_iteration()
        result = generate(*arguments)
        watch.lap("rollout")
        return result

    return timed


class _EndOfUpdates(TrainerCallback):
    """Books the time since the rollout on the update, after its last gradient step."""

    def __init__(self, watch: Stopwatch, steps: int) -> None:
        self.watch, self.steps = watch, steps

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.steps == 0:
            self.watch.lap("update")
