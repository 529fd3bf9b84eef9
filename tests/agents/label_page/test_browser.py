"""The page in a real browser, with its scripts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.feedback.answers import Answer, Item
from agents.feedback.order import shown_order
from agents.feedback.store import FeedbackStore

pytest.importorskip("fastapi")
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

EVIL = (
    "<img src=x onerror=\"document.title='broken into'\">",
    "<script>document.title='broken into'</script>",
    "مرحبا <b>بالعالم</b> \N{RIGHT-TO-LEFT OVERRIDE}abc\N{POP DIRECTIONAL FORMATTING} 👩‍🚀🎉",
    "W" * 500 + "\n\n</label></textarea></form><style>*{display:none}</style>",
)


class Person:
    """Somebody before the browser."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser, self.address = browser, address

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    def click(self, selector: str) -> None:
        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def write(self, selector: str, text: str) -> None:
        self.browser.find_element(By.CSS_SELECTOR, selector).send_keys(text)

    def text(self, selector: str = "body") -> str:
        return str(self.browser.find_element(By.CSS_SELECTOR, selector).text)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a page to load."""
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline, f"it did not come to this; the page says:\n{self.text()}"
            time.sleep(0.02)

    def sees(self, text: str) -> None:
        self.until(lambda: text in self.browser.page_source)

    def introduce(self, name: str) -> None:
        self.sees("Who is labelling?")
        field = self.browser.find_element(By.ID, "annotator")
        field.clear()
        field.send_keys(name + Keys.ENTER)
        self.sees("answered")


@pytest.fixture
def person(chromium: Any, server: Any) -> Any:
    """Ada at the first item, in a browser without older cookies."""
    chromium.delete_all_cookies()
    address = server.link.partition("?")[0]
    ada = Person(chromium, address)
    chromium.get(server.link)
    ada.introduce("ada")
    assert chromium.current_url == address  # the token is not in the address any more
    return ada


def _answers(store: FeedbackStore, name: str = "ada") -> list[Answer]:
    return [given.answer for given in store.current_answers(name)]


def _shown(place: int, item_id: int = 1, name: str = "ada") -> int:
    return shown_order(item_id, name, 2)[place]


def test_clicks_choose_tie_and_rate(person: Person, store: FeedbackStore) -> None:
    person.sees("0 of 3 answered")
    person.click(".card:nth-child(2) .pick")
    person.click("button.primary")
    person.sees("1 of 3 answered")
    person.click(".card:nth-child(1) > .text")  # the text itself
    person.click(".card:nth-child(1) .rating label:nth-child(5)")
    person.click("button.primary")
    person.sees("2 of 3 answered")
    person.click(".choice label:last-child")
    person.click("button.primary")
    person.sees("Everything is answered")
    second = _shown(0, 2)
    ratings = (4, None) if second == 0 else (None, 4)
    assert _answers(store) == [Answer(best=_shown(1)), Answer(best=second, ratings=ratings), Answer(tie=True)]


def test_keys_do_everything(person: Person, store: FeedbackStore) -> None:
    person.press("2", Keys.ENTER)
    person.sees("1 of 3 answered")
    person.press("t", Keys.ENTER)
    person.sees("2 of 3 answered")
    person.press("s")
    person.sees("Everything is answered")
    assert _answers(store) == [Answer(best=_shown(1)), Answer(tie=True), Answer(skip=True)]
    person.press("u")
    person.sees("2 of 3 answered")
    person.press("1", "e", " indeed 1 s t", Keys.ESCAPE, "f", "too short", Keys.ENTER)
    person.sees("Everything is answered")
    chosen = _shown(0, 3)
    edit = store.item(3).completions[chosen] + " indeed 1 s t"
    assert _answers(store)[-1] == Answer(best=chosen, edited=chosen, edit=edit, flag="too short")


def test_the_same_key_again_takes_a_choice_back(person: Person, store: FeedbackStore) -> None:
    person.press("1", "1", Keys.ENTER)
    person.sees("Choose a completion, a tie or a rating")
    person.press("1", "2", Keys.ENTER)
    person.sees("1 of 3 answered")
    assert _answers(store) == [Answer(best=_shown(1))]


def test_an_edit_keeps_its_lines(person: Person, store: FeedbackStore) -> None:
    person.press("2", "e", Keys.ENTER, "second line", Keys.CONTROL + Keys.ENTER)
    person.sees("1 of 3 answered")
    place = _shown(1)
    assert _answers(store)[0].edit == store.item(1).completions[place] + "\nsecond line"


def test_undo_by_click_keeps_what_was_written(person: Person, store: FeedbackStore) -> None:
    person.click(".flag summary")
    person.write("#note", "wrong language")
    person.click("button.primary")
    person.sees("1 of 3 answered")
    assert _answers(store) == [Answer(flag="wrong language")]
    person.click("#undo-button")
    person.sees("0 of 3 answered")
    assert person.browser.find_element(By.ID, "note").get_property("value") == "wrong language"
    assert _answers(store) == []


def test_a_reload_and_the_way_back_lose_and_double_nothing(person: Person, store: FeedbackStore) -> None:
    person.press("1", Keys.ENTER)
    person.sees("1 of 3 answered")
    person.browser.refresh()
    person.sees("1 of 3 answered")
    person.browser.back()
    person.browser.get(person.address)
    person.sees("1 of 3 answered")
    assert len(store.history()) == 1
    progress = person.browser.find_element(By.TAG_NAME, "progress")
    assert (progress.get_property("value"), progress.get_property("max")) == (1, 3)


def test_two_annotators_one_after_the_other(person: Person, store: FeedbackStore) -> None:
    person.press("1", Keys.ENTER)
    person.sees("1 of 3 answered")
    person.click("header .link")
    person.sees("A link for one more annotator")
    link = person.browser.find_element(By.ID, "link").get_property("value")
    person.browser.delete_all_cookies()
    person.browser.get(link)
    person.introduce("bob")
    person.sees("0 of 3 answered")
    person.press("t", Keys.ENTER)
    person.sees("1 of 3 answered")
    person.click("header a")
    person.introduce("ada")
    person.press("2", Keys.ENTER)
    person.sees("2 of 3 answered")
    assert _answers(store, "bob") == [Answer(tie=True)]
    assert _answers(store) == [Answer(best=_shown(0)), Answer(best=_shown(1, 2))]


def test_markup_is_shown_as_text_and_runs_nothing(chromium: Any, serve: Callable[..., Any], tmp_path: Path) -> None:
    store = FeedbackStore(tmp_path / "evil.sqlite")
    store.add_items([Item(EVIL[1], EVIL)])
    server = serve(store, annotator=EVIL[0])
    chromium.delete_all_cookies()
    chromium.get_log("browser")
    chromium.get(server.link)
    person = Person(chromium, server.link)
    person.sees("0 of 1 answered")
    texts = [card.get_property("textContent") for card in chromium.find_elements(By.CSS_SELECTOR, ".card > .text")]
    assert sorted(texts) == sorted(EVIL)
    assert person.text(".prompt") == EVIL[1] and person.text(".name") == EVIL[0]
    areas = [area.get_property("value") for area in chromium.find_elements(By.TAG_NAME, "textarea")]
    assert sorted(areas) == sorted(EVIL)
    assert "broken into" not in chromium.title
    assert not chromium.find_elements(By.CSS_SELECTOR, "main img, main script, main style, main b")
    assert chromium.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert [line for line in chromium.get_log("browser") if "favicon" not in line["message"]] == []


def test_scripts_in_the_page_would_be_refused(person: Person) -> None:
    """The policy holds even if markup came through."""
    person.browser.execute_script(
        "const s = document.createElement('script'); s.textContent = \"document.title='broken into'\";"
        "document.body.append(s); const i = document.createElement('div'); document.body.append(i);"
        'i.innerHTML = \'<img src="/x" onerror="document.title=1">\';'
    )
    time.sleep(0.2)
    assert person.browser.title.startswith("Item 1")


def test_works_without_scripts(person: Person, store: FeedbackStore) -> None:
    try:
        person.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        person.browser.refresh()
        person.sees("0 of 3 answered")
        assert not person.browser.find_element(By.CLASS_NAME, "keys").is_displayed()
        person.click(".card:nth-child(1) > .text")
        person.click(".card:nth-child(2) .edit summary")
        person.write("[name=edit-1]", "!")
        person.click("button.primary")
        person.sees("1 of 3 answered")
        person.click("#undo-button")
        person.sees("0 of 3 answered")
        person.click("#skip")
        person.sees("1 of 3 answered")
    finally:
        person.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert store.history()[0].answer.best == _shown(0) and store.history()[0].answer.edited == _shown(1)
    assert _answers(store) == [Answer(skip=True)]


def test_a_link_on_another_site_lets_in(chromium: Any, server: Any) -> None:
    chromium.delete_all_cookies()
    chromium.get(f"data:text/html,<a href='{server.link}'>label</a>")
    chromium.find_element(By.TAG_NAME, "a").click()
    Person(chromium, "").introduce("ada")


def test_a_form_on_another_site_does_nothing(person: Person, store: FeedbackStore) -> None:
    token = person.browser.find_element(By.NAME, "form_token").get_property("value")
    fields = f"<input name=form_token value={token}><input name=choice value=0>"
    person.browser.get(f"data:text/html,<form method=post action='{person.address}items/1'>{fields}<button>go</button>")
    person.click("button")
    person.sees("Refused: the form was sent by another site.")
    assert store.history() == []


def test_a_stranger_sees_nothing(chromium: Any, server: Any) -> None:
    chromium.delete_all_cookies()
    chromium.get(server.link.partition("?")[0])
    assert "Not let in" in chromium.page_source and "lamp" not in chromium.page_source


def test_every_control_has_a_name(person: Person) -> None:
    for summary in person.browser.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    controls = person.browser.find_elements(
        By.CSS_SELECTOR, "input:not([type=hidden]), textarea, button, a, progress, summary"
    )
    assert len(controls) > 20
    for control in controls:
        if control.tag_name != "summary":  # Chromium calls its role by another name
            assert control.accessible_name, control.get_attribute("outerHTML")


def test_a_phone_needs_no_scrolling_sideways(person: Person) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    try:
        person.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        person.browser.refresh()
        person.sees("0 of 3 answered")
        assert person.browser.execute_script("return document.documentElement.scrollWidth") <= 390
        cards = person.browser.find_elements(By.CLASS_NAME, "card")
        assert cards[0].rect["x"] == cards[1].rect["x"]
    finally:
        person.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
