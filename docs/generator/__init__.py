"""The pages that are made from registries and docstrings, so that nothing is listed by hand and nothing forgotten."""

from __future__ import annotations

from docs.generator.benchmark_pages import benchmark_pages
from docs.generator.class_pages import class_pages
from docs.generator.command_pages import command_pages
from docs.generator.copied_files import copied_files
from docs.generator.environment_pages import environment_pages
from docs.generator.navigation import with_navigation
from docs.generator.registry_pages import registry_pages
from docs.generator.reward_pages import reward_pages
from docs.generator.tutorial_pages import tutorial_pages


def generated_files() -> dict[str, str | bytes]:
    """Every file of the site that is not under ``docs/pages``: its path there, and what is in it."""
    return {
        **with_navigation("reference/environments", "Environments", environment_pages()),
        **with_navigation("reference/rewards", "Rewards", reward_pages()),
        **class_pages(),
        **registry_pages(),
        **with_navigation("reference/commands", "Commands", command_pages()),
        **with_navigation("reference/benchmarks", "Benchmarks", benchmark_pages()),
        **with_navigation("tutorials", "Tutorials", tutorial_pages()),
        **copied_files(),
    }
