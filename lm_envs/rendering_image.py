"""Episodes as pictures, for ``render_mode="rgb_array"`` and Gymnasium's video wrappers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lm_envs.errors import MissingDependencyError
from lm_envs.rendering import EpisodeView

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

WIDTH, HEIGHT, MARGIN, FONT_SIZE = 640, 360, 24, 20
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
    footer = [(f"{name} {value:+.3f}   ", _LOSS if value < 0 else _GAIN) for name, value in view.reward_terms.items()]
    if view.stop_reason:
        footer.insert(0, (f"{view.n_new_tokens} tokens, {view.stop_reason}   ", _WORLD))
    lines = _wrapped(draw, font, [(piece.text, _AGENT if piece.by_agent else _WORLD) for piece in view.pieces])
    room = (HEIGHT - 2 * MARGIN) // line_height - 2
    for number, line in enumerate(lines[-room:]):
        _draw_line(draw, font, line, MARGIN + number * line_height)
    _draw_line(draw, font, footer, HEIGHT - MARGIN - line_height)
    return np.asarray(image, dtype=np.uint8).copy()


def _wrapped(draw: ImageDraw, font: Any, texts: list[tuple[str, Any]]) -> list[list[tuple[str, Any]]]:
    """Break coloured texts, one after the other, into lines of coloured words."""
    lines: list[list[tuple[str, Any]]] = [[]]
    used = 0.0
    for text, colour in texts:
        for word in text.replace("\n", " \n ").split(" "):
            if word == "\n":
                lines.append([])
                used = 0.0
                continue
            width = draw.textlength(word + " ", font)
            if lines[-1] and used + width > WIDTH - 2 * MARGIN:
                lines.append([])
                used = 0.0
            if word:
                lines[-1].append((word + " ", colour))
                used += width
    return lines


def _draw_line(draw: ImageDraw, font: Any, pieces: list[tuple[str, Any]], y: int) -> None:
    x = float(MARGIN)
    for text, colour in pieces:
        draw.text((x, y), text, colour, font)
        x += draw.textlength(text, font)
