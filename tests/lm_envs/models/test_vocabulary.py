import pytest

from lm_envs.models import token_texts


def test_the_texts_add_up_to_the_decoded_text(small_tokenizer):
    text = "the good film was bad, 3!\n"
    ids = small_tokenizer(text).input_ids
    texts = token_texts(small_tokenizer)
    assert "".join(texts[token] for token in ids) == text
    assert len(texts) == len(small_tokenizer) == 64


def test_special_tokens_add_nothing(small_tokenizer):
    texts = token_texts(small_tokenizer)
    assert [texts[token] for token in small_tokenizer.all_special_ids] == [""] * 4


def test_the_texts_are_computed_once(small_tokenizer):
    assert token_texts(small_tokenizer) is token_texts(small_tokenizer)


@pytest.fixture
def sentencepiece_like():
    """A tokenizer whose decoder strips a text's first space, as Llama's and Gemma's do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<s>", "▁the", "▁cat", "s", "▁"]
    backend = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")


def test_leading_spaces_are_kept_where_the_decoder_strips_them(sentencepiece_like):
    assert token_texts(sentencepiece_like) == ["", " the", " cat", "s", " "]


def test_tokens_added_later_are_seen(sentencepiece_like):
    before = len(token_texts(sentencepiece_like))
    sentencepiece_like.add_tokens(["dog"])
    assert len(token_texts(sentencepiece_like)) == before + 1
