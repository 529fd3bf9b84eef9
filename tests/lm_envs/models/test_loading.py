import copy
import gc
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from lm_envs.errors import ModelError, UnknownNameError
from lm_envs.models import load_language_model, load_tokenizer


@pytest.fixture
def own_folder(lm_folder, tmp_path):
    """A copy of the saved model that a test may damage."""
    return Path(shutil.copytree(lm_folder, tmp_path / "model"))


def rewrite_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_every_family_loads_frozen_and_in_evaluation_mode(family, random_lm, random_lm_folder):
    model = load_language_model(random_lm_folder(family, seed=3))
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    ids = torch.arange(4, 12)[None]
    torch.testing.assert_close(model(ids).logits, random_lm(family, seed=3)(ids).logits)


def test_the_same_name_gives_the_same_objects(lm_folder):
    assert load_language_model(lm_folder) is load_language_model(lm_folder, device=torch.device("cpu"))
    assert load_tokenizer(lm_folder) is load_tokenizer(lm_folder)


def test_dtypes_have_separate_models(lm_folder):
    half = load_language_model(lm_folder, dtype="bfloat16")
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
    assert load_language_model(lm_folder).dtype == torch.float32


def test_a_model_that_nobody_holds_is_freed(lm_folder):
    import weakref

    model = load_language_model(lm_folder)
    copied, seen = copy.deepcopy(model), weakref.ref(model)
    del model
    gc.collect()
    assert seen() is None
    assert copied(torch.tensor([[5]])).logits.shape == (1, 1, 64)


def test_threads_share_one_load(lm_folder):
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: load_language_model(lm_folder), range(8)))
    assert len({id(model) for model in loaded}) == 1


def test_a_folder_that_was_written_again_is_read_again(own_folder, random_lm):
    before = load_language_model(str(own_folder))
    random_lm("llama", seed=9).save_pretrained(own_folder)
    after = load_language_model(str(own_folder))
    assert not torch.equal(before.get_input_embeddings().weight, after.get_input_embeddings().weight)


def test_the_tokenizer_round_trips_and_pads(lm_folder, small_tokenizer):
    tokenizer = load_tokenizer(lm_folder)
    text = "the film is good, it was 10.\nbad?"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer(text).input_ids == small_tokenizer(text).input_ids
    assert tokenizer.pad_token == "<|pad|>"


def test_the_end_of_text_token_pads_where_none_is_named(own_folder):
    path = own_folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    del settings["pad_token"]
    path.write_text(json.dumps(settings))
    assert load_tokenizer(str(own_folder)).pad_token == "<|end|>"


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_an_encoder_is_refused_before_its_weights_are_read(tmp_path, kind):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "architectures": ["TheModel"]}))
    with pytest.raises(ModelError, match=r"expected a causal language model.*\(TheModel\), which is an encoder"):
        load_language_model(str(tmp_path))


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_decoder_is_refused(tmp_path, kind):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ModelError, match=f"{kind}.*which is an encoder-decoder"):
        load_language_model(str(tmp_path))


def test_a_vision_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(ModelError, match="none that predicts the next token"):
        load_language_model(str(tmp_path))


def test_truncated_weights_are_reported(own_folder):
    path = own_folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cannot read the weights of the model .*missing or damaged"):
        load_language_model(str(own_folder))


def test_a_file_that_is_no_safetensors_is_reported(own_folder):
    (own_folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match="cannot read the weights"):
        load_language_model(str(own_folder))


def test_absent_weights_are_reported(own_folder):
    (own_folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot read the weights"):
        load_language_model(str(own_folder))


def test_missing_tensors_are_not_made_up(own_folder):
    rewrite_config(own_folder, num_hidden_layers=3)
    with pytest.raises(ModelError, match=r"incomplete: \d+ of the tensors.*model\.layers\.2"):
        load_language_model(str(own_folder))


def test_tensors_of_another_shape_are_reported(own_folder):
    rewrite_config(own_folder, vocab_size=80)
    with pytest.raises(ModelError, match="weights"):
        load_language_model(str(own_folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_reported(own_folder, random_lm, value):
    model = random_lm("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = value
    model.save_pretrained(own_folder)
    with pytest.raises(ModelError, match=r"damaged: model\.layers\.1\.mlp\.up_proj\.weight has NaN or infinite"):
        load_language_model(str(own_folder))


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": "no-such-kind"}', "{}"])
def test_a_damaged_configuration_is_reported(own_folder, text):
    (own_folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match="cannot read the configuration|comes with code"):
        load_language_model(str(own_folder))


@pytest.mark.parametrize("damage", ["{", ""])
def test_a_damaged_tokenizer_is_reported(own_folder, damage):
    (own_folder / "tokenizer.json").write_text(damage)
    with pytest.raises(ModelError, match="cannot read the tokenizer of the model"):
        load_tokenizer(str(own_folder))


def test_a_folder_without_a_tokenizer_is_reported(own_folder):
    for path in own_folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match="cannot read the tokenizer of the model"):
        load_tokenizer(str(own_folder))


@pytest.mark.parametrize("load", [load_language_model, load_tokenizer])
def test_a_model_that_is_nowhere_says_what_was_tried(load):
    expected = "'nobody/nothing'.*no folder or alias.*HF_HUB_OFFLINE is set.*hf download.*tiny"
    with pytest.raises(ModelError, match=expected):
        load("nobody/nothing")


def test_code_of_the_model_runs_only_by_explicit_wish(own_folder):
    rewrite_config(
        own_folder,
        model_type="odd",
        auto_map={"AutoConfig": "odd.OddConfig", "AutoModelForCausalLM": "odd.OddModel"},
    )
    (own_folder / "odd.py").write_text("raise SystemExit('the code ran')")
    with pytest.raises(ModelError, match="code of its own. Pass trust_remote_code=True"):
        load_language_model(str(own_folder))


def test_an_unknown_dtype_gets_a_suggestion(lm_folder):
    with pytest.raises(UnknownNameError, match="unknown dtype 'bfloat15'. Did you mean 'bfloat16'"):
        load_language_model(lm_folder, dtype="bfloat15")


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_reported(lm_folder, device):
    with pytest.raises(ModelError, match=f"no such device: '{device}'.*Use 'cpu'"):
        load_language_model(lm_folder, device=device)


def test_auto_takes_a_gpu_if_there_is_one(lm_folder):
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert load_language_model(lm_folder, device="auto").device.type == expected


def test_loading_prints_nothing_and_leaves_transformers_logging_alone(own_folder, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_language_model(str(own_folder))
    load_tokenizer(str(own_folder))
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_the_embedded_model_is_small_and_complete():
    tokenizer, model = load_tokenizer("tiny"), load_language_model("tiny")
    assert model.num_parameters() <= 2_000_000
    assert len(tokenizer) == model.config.vocab_size
    assert {tokenizer.eos_token_id, tokenizer.pad_token_id} <= set(range(len(tokenizer)))
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False)
    assert "hello" in chat
    text = "the film was good. I liked it!"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
