"""Episodes as pictures, for ``render_mode="rgb_array"`` and Gymnasium's video wrappers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lm_envs.errors import MissingDependencyError
from lm_envs.rendering import EpisodeView

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

WIDTH, HEIGHT, MARGIN, FONT_SIZE = 640, 360, 24, 20
COLUMN = 72  # pixels: where several spaces lead, as behind the speakers' names in conversations
_PAPER, _WORLD, _AGENT, _GAIN, _LOSS = (
    (250, 250, 247),
    (120, 120, 125),
    (15, 15, 20),
    (20, 120, 50),
    (175, 35, 35),
)


def episode_image(view: EpisodeView) -> npt.NDArray[np.uint8]:
    """Draw the episode: the world's text grey, the agent's black, reward terms green or red below.

    A text that is too long loses its beginning.

    Returns:
        ``(360, 640, 3)`` uint8.

    Raises:
        MissingDependencyError: If Pillow is not installed.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise MissingDependencyError.for_package("pillow", "plots", 'render_mode="rgb_array"') from error
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(FONT_SIZE)
    line_height = int(FONT_SIZE * 1.5)
    footer = [(f"{name} {value:+.3f}", _LOSS if value < 0 else _GAIN) for name, value in view.reward_terms.items()]
    if view.stop_reason:
        footer.insert(0, (f"{view.n_new_tokens} tokens, {view.stop_reason}", _WORLD))
    below = _placed(draw, font, footer, gap="   ")
    words = [(word, _AGENT if piece.by_agent else _WORLD) for piece in view.pieces for word in _words(piece.text)]
    lines = _placed(draw, font, words, gap=" ")
    room = (HEIGHT - 2 * MARGIN) // line_height - 1 - len(below)
    for number, line in enumerate(lines[-room:]):
        _draw_line(draw, font, line, MARGIN + number * line_height)
    for number, line in enumerate(reversed(below), 1):
        _draw_line(draw, font, line, HEIGHT - MARGIN - number * line_height)
    return np.asarray(image, dtype=np.uint8).copy()


def _words(text: str) -> list[str]:
    """The words of a text, each line end on its own, and a tab for several spaces in a row."""
    return re.findall(r"\n|\t|[^ \n\t]+", re.sub(r" {2,}", "\t", text))


def _placed(draw: ImageDraw, font: Any, words: list[tuple[str, Any]], gap: str) -> list[list[tuple[float, str, Any]]]:
    """Break coloured words into lines; each word with the place where it begins."""
    lines: list[list[tuple[float, str, Any]]] = [[]]
    x = float(MARGIN)
    for word, colour in words:
        if word == "\t":
            x = MARGIN + COLUMN * -(-(x - MARGIN) // COLUMN)
            continue
        width = 0.0 if word == "\n" else draw.textlength(word, font)
        if word == "\n" or (lines[-1] and x + width > WIDTH - MARGIN):
            lines.append([])
            x = float(MARGIN)
        if word != "\n":
            lines[-1].append((x, word, colour))
            x += width + draw.textlength(gap, font)
    return lines if lines[-1] else lines[:-1]


def _draw_line(draw: ImageDraw, font: Any, words: list[tuple[float, str, Any]], y: int) -> None:
    for x, word, colour in words:
        draw.text((x, y), word, colour, font)
