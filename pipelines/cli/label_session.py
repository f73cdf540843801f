"""Labelling at the keyboard: one item after the other, each answer stored before the next item is shown."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum

import typer

from activelora.campaign.manifest import Unit
from activelora.campaign.records import Item, Label
from activelora.errors import LabelError
from activelora.labeling.answers import Session
from activelora.labeling.keys import COMMANDS, HELP, QUIT, SKIP, UNDO, Menu, visible, visible_line
from activelora.labeling.request import Collected, Request
from activelora.labeling.source import Source
from activelora.quantities import quantity
from pipelines.cli.keyboard import ENTER, Keyboard

LOOK_SECONDS = 5.0
"""What others have answered meanwhile is looked up this often."""
_DONE = ("labeled", "deleted")


class Command(Enum):
    """What ends a question without an answer. No label equals one: in a text task `q` is an answer too."""

    UNDO = UNDO
    QUIT = QUIT


@dataclass
class Labelling:
    """A session in front of a keyboard.

    Attributes:
        request: Items to label.
        source: Knows what others have answered.
        session: Stores the answers.
        keyboard: Keyboard that they are typed on.
    """

    request: Request
    source: Source
    session: Session
    keyboard: Keyboard
    _mine: dict[str, str] = field(default_factory=dict, init=False)
    _collected: Collected | None = field(default=None, init=False)
    _looked_at: float = field(default=0.0, init=False)

    def run(self, answered: dict[str, str]) -> str:
        """Ask until nothing is left or the annotator leaves; return how it ended, in words.

        Args:
            answered: Item id → ``labeled`` or ``skipped``, what this annotator answered in earlier sessions.
        """
        self._mine = dict(answered)
        while True:
            self._look()
            if self._is_over():
                return f"round {self.request.round} is closed; what comes now counts as late"
            left = self._left()
            if not left:
                return "nothing is left for you in this round"
            item = self.request.items[left[0]]
            answer = self._ask(item, len(left))
            if answer is Command.QUIT:
                return f"{quantity(len(left), 'item is', 'items are')} left: the same command goes on"
            if answer is Command.UNDO:
                self._undo()
            else:
                self.session.answer(item, answer)
                self._mine[item.item_id] = "skipped" if answer is None else "labeled"

    def _undo(self) -> None:
        undone = self.session.undo()
        if undone is None:
            typer.echo("there is nothing to take back in this session")
        else:
            self._mine.pop(undone, None)
            self._looked_at = 0.0

    def _left(self) -> list[str]:
        states = self._collected.states if self._collected else {}
        return [one for one in self.request.asked if one not in self._mine and states.get(one) not in _DONE]

    def _look(self) -> None:
        if self._collected is None or time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._collected = self.source.collect(self.request)
            self._looked_at = time.monotonic()

    def _is_over(self) -> bool:
        return self.request.campaign.manifest(Unit("await_labels", self.request.round)) is not None

    def _ask(self, item: Item, num_left: int) -> Label | Command | None:
        """Show an item until there is an answer: a label, None to pass it over, or undo or quit."""
        menu = Menu.of(self.request.task, item, self.request.campaign.config.data.label_numbers)
        self._show(menu, num_left)
        self.keyboard.forget()
        while True:
            given = self._read(menu)
            if given is None:
                return Command.QUIT
            command = given.strip().removeprefix(":") if menu.is_typed or given.startswith(":") else given.strip()
            is_command = command in COMMANDS and (not menu.is_typed or given.strip().startswith(":"))
            if is_command and command == HELP:
                typer.echo(_help(menu))
            elif is_command:
                return None if command == SKIP else Command(command)
            elif given.strip():
                try:
                    return menu.read(given)
                except LabelError as error:
                    typer.echo(f"  {visible_line(str(error))} ({HELP_HINT[menu.is_typed]})")

    def _read(self, menu: Menu) -> str | None:
        if menu.is_typed or not self.keyboard.by_key:
            typer.echo("> ", nl=False)
            return self.keyboard.line()
        if menu.task.kind.takes_several:
            return self._toggled(menu)
        typer.echo("> ", nl=False)
        key = self.keyboard.key()
        typer.echo(visible_line(key) if key and key != ENTER else "")
        return key

    def _toggled(self, menu: Menu) -> str | None:
        """Let keys switch labels on and off until Enter; return the line that means the same."""
        chosen: set[int] = set()
        while True:
            marks = (
                f"[{'x' if index in chosen else ' '}] {key} {visible_line(name)}"
                for index, (key, name) in enumerate(zip(menu.keys, menu.names, strict=True))
            )
            typer.echo(f"  {'  '.join(marks)}  (Enter stores)")
            key = self.keyboard.key()
            if key is None or key in COMMANDS:
                return key
            if key == ENTER:
                return " ".join(menu.keys[index] for index in sorted(chosen)) or "none"
            if key.casefold() in menu.keys:
                chosen ^= {menu.keys.index(key.casefold())}

    def _show(self, menu: Menu, num_left: int) -> None:
        request, item = self.request, menu.item
        num_skipped = sum(state == "skipped" for state in self._mine.values())
        total = len(request.asked)
        head = f"round {request.round}, {total - num_left + 1} of {total}"
        typer.echo(f"\n--- {head}{f', {num_skipped} skipped' if num_skipped else ''} " + "-" * 40)
        for name, text in request.shown(item).items():
            typer.echo(f"{visible_line(name)}: {visible(text)}")
        if asked := menu.task.kind.asked_beside(request.campaign.config.task):
            typer.echo(visible_line(asked))
        if menu.keys and (not menu.task.kind.takes_several or not self.keyboard.by_key):
            typer.echo("\n".join(f"  {key}  {visible(name)}" for key, name in zip(menu.keys, menu.names, strict=True)))
        elif menu.names and not menu.keys:
            typer.echo("  " + ", ".join(visible_line(name) for name in menu.names))
        elif not menu.names:
            typer.echo(f"  {menu.task.label_hint}")


HELP_HINT = {False: f"{HELP} shows the keys", True: f":{HELP} shows the commands"}


def _help(menu: Menu) -> str:
    mark = ":" if menu.is_typed else ""
    commands = f"{mark}{SKIP} skip, {mark}{UNDO} take the last answer back, {mark}{QUIT} leave (answers are stored)"
    if menu.is_typed:
        what = "type the answer" if not menu.names else "type a label, or its beginning"
    elif menu.task.kind.takes_several:
        what = "keys switch labels on and off, Enter stores; as a line: keys with spaces, or none"
    else:
        what = "the key of a label"
    return f"  {what}; {commands}"
