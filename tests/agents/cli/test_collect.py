import pytest

from agents.feedback.collecting import find_sources
from agents.feedback.store import FeedbackStore
from lm_envs.errors import ConfigurationError


def test_collect_adds_items_once(cli, small_run):
    result = cli("collect", small_run, "--feedback", "a.sqlite", "--prompts", 5, "--completions", 3, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "5 new items in a.sqlite, 5 in all\n" in result.stdout
    items = FeedbackStore("a.sqlite").items()
    assert {source for item in items.values() for source in item.sources} == {str(small_run)}
    again = cli("collect", small_run, "-f", "a.sqlite", "-p", 5, "-n", 3, "--device", "cpu")
    assert "0 new items in a.sqlite, 5 in all. 5 were there already" in again.stdout


def test_collect_from_a_run_and_the_model_that_it_began_with(cli, small_run, lm_folder):
    result = cli("collect", lm_folder, small_run, "-f", "a.sqlite", "-p", 4, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert {item.sources for item in FeedbackStore("a.sqlite").items().values()} == {(lm_folder, str(small_run))}


def test_a_model_alone_writes_in_the_environment_of_the_run(small_run, lm_folder):
    sources = find_sources([lm_folder, str(small_run)], None, {"max_new_tokens": 5})
    assert sources[lm_folder].env_kwargs == {**sources[str(small_run)].env_kwargs, "model": lm_folder}
    assert sources[lm_folder].env_kwargs["max_new_tokens"] == 5
    with pytest.raises(ConfigurationError, match="each policy is named once"):
        find_sources([lm_folder, lm_folder], None, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-f", "a.txt"), "--feedback expects a file with the suffix .sqlite"),
        (("-f", "a.sqlite", "--split", "tset"), "unknown split 'tset'. Did you mean 'test'"),
        (("-f", "a.sqlite", "-r", "sentimnt"), "unknown reward 'sentimnt'. Did you mean 'sentiment'"),
    ],
)
def test_options_that_cannot_work_fail_before_anything_is_made(cli, small_run, tmp_path, arguments, message):
    result = cli("collect", small_run, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
