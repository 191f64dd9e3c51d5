"""A case that an agent carries out on a channel in its own language."""

import json
from typing import TYPE_CHECKING, Any

from aioservicekit_model.channel.blame import blame
from aioservicekit_model.channel.history import JOINS, READS, rest
from aioservicekit_model.channel.machine import overdue
from aioservicekit_model.channel.relaxed import rule_of

from ..running.case import Action, Case
from .process import AgentGone
from .protocol import HELLO, REST, STATE, STEP, Command, End, ProtocolError, answer, as_line

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["AgentCase"]

LOOKS = 20  # while something waits that ought to go on, an agent that can't tell rests is asked this often to let things run


class AgentCase(Case):
    """An agent's channel under test. The messages of a channel are 0, 1, 2 and so on: a false one is among them."""

    def __init__(self, agent: "Agent", default_size: int) -> None:
        super().__init__(agent, default_size)
        self._agent = agent
        self._sends: list[int] = []  # the operation that sends each message
        self._asked: list[tuple[int, Command]] = [(0, HELLO)]  # commands, each with the number of events before it
        self._ask({"do": "new", "size": default_size}, STATE)

    @property
    def commands(self) -> str:
        """The commands that show what this case shows, one line each, up to the refused event."""
        return "".join(f"{as_line(command)}\n" for at, command in self._asked if at < len(self.judged))

    def _is_possible(self, action: Action) -> bool:
        done_without = self._agent.hello.without
        if (action.what == "next" and "CH-4.7" in done_without) or (
            action.what == "cancel" and "cancelling" in done_without
        ):
            return False
        return super()._is_possible(action)

    def _carry_out(self, action: Action) -> None:
        self._ask(self._command(action), STATE)
        self._run(action.after)

    def _run(self, callbacks: int | None) -> None:
        if callbacks is None:
            self._ask(REST, STATE)
            self._come_to_rest()
        elif self._agent.hello.steps:
            self._ask(*[STEP, STATE] * callbacks)
        self._at_rest = callbacks is None

    def _come_to_rest(self) -> None:
        if self.escaped or self.hung:
            return
        if self._agent.hello.rests:
            self._rest()
            return
        for _ in range(0 if self.late else LOOKS):
            if self._may_be_at_rest:
                return
            self._ask(REST, STATE)
        if not self._may_be_at_rest:
            unmet = {rule_of(each.rule) for state in self.states for _, each in overdue(state)}
            self.late |= blame(self.default_size, [*self.history, rest()]) or unmet

    @property
    def _may_be_at_rest(self) -> bool:
        return not self.judgeable or any(not overdue(state) for state in self.states)

    def _command(self, action: Action) -> Command:
        if action.what == "cancel":
            return {"do": "cancel", "op": action.op}
        command = {"do": action.what, "op": action.op, "on": action.on}
        if action.what == "subscribe":
            command["size"] = action.size
        if action.what == "send":
            command["message"] = len(self._sends)
            self._sends.append(action.op)
        return command

    def _ask(self, *commands: Command) -> None:
        """Have commands carried out, and note what they lead to."""
        if self.escaped or self.hung or not commands:
            return
        self._asked += [(len(self.history), command) for command in commands]
        try:
            for command, line in zip(commands, self._agent.running().ask(commands), strict=True):
                answered = answer(line, command)
                for end in answered.ended:
                    self._note(end)
                if command == STATE:
                    self._observe(answered.state)
        except AgentGone as gone:
            self.hung = str(gone)
            self._agent.discard()
        except ProtocolError as error:
            self._escape(str(error))
            self._agent.discard()

    def _note(self, end: End) -> None:
        event = self.pending.get(end.op)
        if event is None:
            raise ProtocolError(f"words that make no sense: operation {end.op} has ended, which is not under way")
        if end.what == "raised":
            self._raised(end.op, end.value, f"{end.value}: {end.text}" if end.text else "")
        elif event.kind in JOINS:
            self._returned(end.op, event.on)
        else:
            self._returned(end.op, self._message(end.value) if event.kind in READS else None)

    def _message(self, value: Any) -> int | str:
        """The number of a message's send; what is no message is shown as it is."""
        is_one = type(value) is int and 0 <= value < len(self._sends)
        return self._sends[value] if is_one else f"{json.dumps(value)}, which nobody has sent"
