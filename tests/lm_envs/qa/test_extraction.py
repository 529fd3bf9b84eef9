import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.qa.extraction import AfterMarker, InsideTags, extractor, read_answer

SPECS = ["text", "line", "after:####", "after:Answer:", "tags", "tags:final", "boxed"]
PIECES = ["####", "<answer>", "</answer>", "<final>", "</final>", "\\boxed", "\\boxed{", "{", "}", "\\", "\n", " ", "a"]


@pytest.mark.parametrize(
    ("spec", "completion", "answer"),
    [
        ("text", " red.", "red."),
        ("text", "\n a\nb \n", "a\nb"),
        ("line", "\n  \n red. \n Question: what", "red."),
        ("line", " \n", ""),
        ("after:####", "2 + 2\n#### 3, no\n#### 4\n", "4"),
        ("after:####", "four", ""),
        ("after:####", "four ####", ""),
        ("after:the answer is:", "I think the answer is: 4", "4"),
        ("tags", "<answer>3</answer> or <answer>\n4\n</answer>!", "4"),
        ("tags:answer", "<answer>4", ""),
        ("tags", "4</answer>", ""),
        ("tags", "</answer><answer>", ""),
        ("tags", "<answer>3</answer></answer>", "3"),
        ("tags", "<answer>first <answer>4</answer>", "4"),
        ("tags", "<Answer>4</Answer>", ""),
        ("tags:final", "<answer>3</answer><final>4</final>", "4"),
        ("boxed", r"so \boxed{3}, no, \boxed{ 4 }.", "4"),
        ("boxed", r"$\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
        ("boxed", r"\boxed {\{1, 2\}}", r"\{1, 2\}"),
        ("boxed", r"\boxed{3} and \boxed{4", "3"),
        ("boxed", r"\boxed{\boxed{4}}", "4"),
        ("boxed", r"\fbox{4}", ""),
        ("boxed", r"\boxed{}", ""),
        ("boxed", "4", ""),
    ],
)
def test_what_is_read(spec: str, completion: str, answer: str) -> None:
    assert extractor(spec)(completion) == answer


@pytest.mark.parametrize("spec", SPECS)
@given(completion=st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_every_text_has_an_answer_or_none(spec: str, completion: str) -> None:
    answer = extractor(spec)(completion)
    assert answer == answer.strip()
    assert answer in completion
    assert read_answer(extractor(spec), completion) == answer


@pytest.mark.parametrize("spec", SPECS)
@given(answer=st.text(st.sampled_from("ab 1.,()\n")))
def test_what_was_written_is_read_again(spec: str, answer: str) -> None:
    marked = {
        "text": answer,
        "line": answer.replace("\n", " "),
        "after:####": f"1 #### {answer}",
        "after:Answer:": f"Answer: 1. Answer: {answer}",
        "tags": f"<answer>1</answer> <answer>{answer}</answer> it is",
        "tags:final": f"<final>{answer}</final>",
        "boxed": rf"\boxed{{1}} \boxed{{{answer}}}.",
    }[spec]
    assert extractor(spec)(marked).split() == answer.split()


@pytest.mark.parametrize("spec", SPECS)
def test_pickle(spec: str) -> None:
    assert pickle.loads(pickle.dumps(extractor(spec))) == extractor(spec)


def test_own_function() -> None:
    assert extractor(str.upper) == str.upper
    assert read_answer(str.upper, " a ") == "A"
    assert read_answer(str.upper, None) == ""
    assert read_answer(lambda text: None, "a") == ""  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigurationError, match="has to return a text, got 3"):
        read_answer(lambda text: 3, "a")  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("box", UnknownNameError, "unknown way to read an answer 'box'. Did you mean 'boxed'.*'after:MARKER'"),
        ("", UnknownNameError, "unknown way"),
        ("after", ConfigurationError, "write for example 'after:####'"),
        ("after:", ConfigurationError, "needs the marker"),
        ("tags:", ConfigurationError, "a tag's name begins with a letter.*got ''"),
        ("tags:<answer>", ConfigurationError, "got '<answer>'. Write 'tags:answer'"),
        ("boxed:x", ConfigurationError, "'boxed' to read an answer takes no parameter, got 'boxed:x'"),
        (None, ConfigurationError, "one of 'text', .* or a function, got None"),
        (3, ConfigurationError, "got 3"),
    ],
)
def test_nonsense(spec: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        extractor(spec)


def test_parts_check_themselves() -> None:
    with pytest.raises(ConfigurationError, match="marker"):
        AfterMarker("")
    with pytest.raises(ConfigurationError, match="name"):
        InsideTags("1st")
