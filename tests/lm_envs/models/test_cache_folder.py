import multiprocessing
import time

import pytest

from lm_envs.errors import ModelError
from lm_envs.models.cache_folder import cache_root, is_intact, read_or_make


class Maker:
    """Writes two files and counts how often, in a file that all processes see."""

    def __init__(self, log, delay=0.0):
        self.log, self.delay = log, delay

    def __call__(self, folder):
        with self.log.open("a") as file:
            file.write("made\n")
        (folder / "a.bin").write_bytes(b"a" * 3_000_000)
        time.sleep(self.delay)
        (folder / "b.json").write_text("{}")

    @property
    def count(self):
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def maker(tmp_path):
    return Maker(tmp_path / "log")


def test_it_is_made_once_and_then_read(tmp_path, maker):
    folder = tmp_path / "cache" / "model"
    assert read_or_make(folder, maker) == folder
    assert read_or_make(folder, maker) == folder
    assert maker.count == 1
    assert is_intact(folder)


def test_nothing_else_is_left_in_the_cache(tmp_path, maker):
    (tmp_path / "cache" / ".model.of-a-killed-process").mkdir(parents=True)
    read_or_make(tmp_path / "cache" / "model", maker)
    assert {path.name for path in (tmp_path / "cache").iterdir()} <= {"model", ".model.lock"}


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete", "manifest", "empty manifest"])
def test_a_damaged_folder_is_made_anew(tmp_path, maker, damage, caplog):
    folder = read_or_make(tmp_path / "model", maker)
    big = folder / "a.bin"
    content = bytearray(big.read_bytes())
    if damage == "truncate":
        big.write_bytes(content[:-1])
    elif damage == "flip":
        content[1_500_000] ^= 1
        big.write_bytes(content)
    elif damage == "delete":
        (folder / "b.json").unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text("[1")
    else:
        (folder / "manifest.json").write_text('{"files": {}}')
    assert not is_intact(folder)
    read_or_make(folder, maker)
    assert maker.count == 2
    assert is_intact(folder)
    assert "is damaged; it is made anew" in caplog.text


def test_a_failed_conversion_leaves_nothing_behind(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise RuntimeError("stopped half way")

    with pytest.raises(RuntimeError, match="half way"):
        read_or_make(tmp_path / "cache" / "model", fail)
    assert {path.name for path in (tmp_path / "cache").iterdir()} <= {".model.lock"}


def test_two_processes_make_it_once(tmp_path):
    maker = Maker(tmp_path / "log", delay=0.3)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=read_or_make, args=(tmp_path / "model", maker)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert maker.count == 1
    assert is_intact(tmp_path / "model")


def test_a_cache_that_cannot_be_written_names_the_setting(tmp_path, maker):
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot write the model cache.*Set LM_ENVS_CACHE"):
        read_or_make(tmp_path / "file" / "model", maker)


def test_the_cache_directory_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("LM_ENVS_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("LM_ENVS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "lm_envs"
