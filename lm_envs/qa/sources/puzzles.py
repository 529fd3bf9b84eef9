"""Solutions to those puzzles of reasoning-gym that come without one."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

_SIDE = 6  # of a Rush Hour board
_EXIT = 16  # where the left end of the red car has to be: in the third row, at the right edge

Cars = tuple[int, ...]


def solve_boxnet(metadata: Mapping[str, Any]) -> str:
    """A plan that lifts all boxes: each is moved to its target square by square, one move at a time."""
    squares = {name: list(things) for name, things in metadata["initial_state"].items()}
    targets = [(name, thing) for name, things in squares.items() for thing in things if thing.startswith("target_")]
    plan: list[dict[str, str]] = []
    for goal, target in targets:
        box = target.replace("target_", "box_")
        start = next(name for name, things in squares.items() if box in things)
        squares[start].remove(box)
        plan += _moves(box, _square(start), _square(goal), target)
    return json.dumps(plan)


def _square(name: str) -> tuple[float, float]:
    row, column = name.split("_")
    return float(row), float(column)


def _moves(box: str, here: tuple[float, float], goal: tuple[float, float], target: str) -> Iterator[dict[str, str]]:
    while here != goal:
        (row, column), (to_row, to_column) = here, goal
        step = (
            ((to_row > row) - (to_row < row), 0) if row != to_row else (0, (to_column > column) - (to_column < column))
        )
        there = (row + step[0], column + step[1])
        yield {f"Agent[{row}, {column}]": f"move({box}, square[{there[0]}, {there[1]}])"}
        here = there
    yield {f"Agent[{here[0]}, {here[1]}]": f"move({box}, {target})"}


def solve_rubiks_cube(metadata: Mapping[str, Any]) -> str:
    """The moves that scrambled the cube, undone from the last to the first."""
    moves = str(metadata["scramble_moves"]).split()
    return " ".join(move[:-1] if move.endswith("'") else f"{move}'" for move in reversed(moves))


def solve_rush_hour(metadata: Mapping[str, Any]) -> str:
    """The fewest moves that bring the red car to the exit, found by breadth-first search."""
    board = metadata["board_config"]
    names = sorted(set(board) - {"o", "x"})  # the puzzle calls them A, B, C, ... in this order
    cells = [[i for i, name in enumerate(board) if name == car] for car in names]
    strides = [where[1] - where[0] for where in cells]
    lengths = [len(where) for where in cells]
    walls = sum(1 << i for i, name in enumerate(board) if name == "x")
    start = tuple(where[0] for where in cells)
    came_from: dict[Cars, tuple[Cars, str]] = {start: (start, "")}
    waiting = deque([start])
    while waiting:
        cars = waiting.popleft()
        if cars[0] == _EXIT:
            return " ".join(_way(came_from, cars))
        for after, move in _slides(cars, strides, lengths, walls):
            if after not in came_from:
                came_from[after] = (cars, move)
                waiting.append(after)
    raise ValueError(f"the board {board!r} cannot be solved")


def _way(came_from: Mapping[Cars, tuple[Cars, str]], cars: Cars) -> list[str]:
    moves: list[str] = []
    while came_from[cars][1]:
        cars, move = came_from[cars]
        moves.append(move)
    return moves[::-1]


def _slides(cars: Cars, strides: list[int], lengths: list[int], walls: int) -> Iterator[tuple[Cars, str]]:
    """All boards that one move of one car leads to."""
    masks = [sum(1 << (car + k * s) for k in range(n)) for car, s, n in zip(cars, strides, lengths, strict=True)]
    taken = sum(masks) + walls
    for number, (car, stride, length) in enumerate(zip(cars, strides, lengths, strict=True)):
        before = car % _SIDE if stride == 1 else car // _SIDE  # squares between the car and the edge
        after = _SIDE - length - before
        for sign, room, end in ((-1, before, car), (1, after, car + (length - 1) * stride)):
            for steps in range(1, room + 1):
                if taken >> (end + sign * steps * stride) & 1:
                    break
                moved = (*cars[:number], car + sign * steps * stride, *cars[number + 1 :])
                yield moved, f"{chr(ord('A') + number)}{'+' if sign > 0 else '-'}{steps}"
