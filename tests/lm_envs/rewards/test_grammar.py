import numpy as np
import pytest

from lm_envs.rewards import get
from lm_envs.world.reviews import generate


def test_reviews_of_the_world() -> None:
    rng = np.random.default_rng(0)
    reviews = [generate(rng) for _ in range(20)]
    prompts, completions = [r.prompt for r in reviews], [r.completion for r in reviews]
    assert get("grammar")(prompts, completions) == [1.0] * 20
    scrambled = [" ".join(reversed(completion.split())) for completion in completions]
    assert get("grammar")(prompts, scrambled) == [0.0] * 20


@pytest.mark.parametrize("bad", ["", " ", None, "@#~ %%", " qwx zzv."])
def test_garbage(bad: str | None) -> None:
    assert get("grammar")(["This lamp"], [bad]) == [0.0]
