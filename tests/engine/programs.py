"""Random programs for the engine, and a model of what becomes of them: plain Python, no database, no clock.

A program is a list of instructions; its result is the list of theirs.

    ["run", fails]          a body that fails so often before it succeeds
    ["transaction"]         a body that leaves a row
    ["send"]                an event that nobody waits for
    ["sleep"], ["wait", key], ["invoke", program], ["parallel", [program, ...]]
    ["raise", times], ["fail"]      the handler itself fails: so many times, or for good
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

RETRIES = 2
ERROR = "error"

Program = list[list[Any]]

leaves = st.one_of(
    st.tuples(st.just("run"), st.integers(0, RETRIES + 1)),
    st.tuples(st.just("wait"), st.integers(0, 1)),
    st.sampled_from([("run", 0), ("transaction",), ("send",), ("sleep",)]),
)
branches = st.recursive(
    st.lists(leaves, max_size=4),
    lambda inner: st.lists(
        st.one_of(
            leaves,
            st.tuples(st.just("parallel"), st.lists(inner, min_size=2, max_size=3)),
            st.tuples(st.just("invoke"), inner),
        ),
        max_size=4,
    ),
    max_leaves=12,
)
endings = st.sampled_from([[], [], [], [("raise", 1)], [("raise", RETRIES + 1)], [("fail",)]])
programs = st.builds(lambda begin, ending, end: [*begin, *ending, *end], branches, endings, branches)


class Pending(Exception):
    """The program cannot go on now."""


class Ended(Exception):
    """The run has failed."""


@dataclass
class Run:
    """What is known of one run. `open` are instructions that wait, for the clock or an event."""

    program: Program
    attempt: int = 1
    backs_off: bool = False
    status: str = ""
    output: Any = None
    answers: dict[str, Any] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    open: dict[str, list[Any]] = field(default_factory=dict)
    children: dict[str, Run] = field(default_factory=dict)

    def go_on(self) -> None:
        """As far as it goes now."""
        if self.status or self.backs_off:
            return
        try:
            self.output = self._all(self.program, "")
            self.status = "completed"
        except Pending:
            pass
        except Ended:
            self.status = "failed"

    def jump(self) -> None:
        """All that waits for a time has had it; what it waits for comes no more."""
        for child in self.children.values():
            child.jump()
        for key, instruction in self.open.items():
            if instruction[0] != "run":
                self.answers[key] = None
        self.open.clear()
        self.attempt += self.backs_off
        self.backs_off = False

    def tell(self, key: int, data: dict[str, Any]) -> None:
        """An event has come."""
        for child in self.children.values():
            child.tell(key, data)
        for id_ in [id_ for id_, instruction in self.open.items() if instruction == ["wait", key]]:
            del self.open[id_]
            self.answers[id_] = data

    def family(self) -> list[Run]:
        """This run and all that it invoked, and so on."""
        return [self, *(each for child in self.children.values() for each in child.family())]

    def _all(self, program: Program, path: str) -> list[Any]:
        return [self._one(f"{path}{number}", list(instruction)) for number, instruction in enumerate(program)]

    def _one(self, key: str, instruction: list[Any]) -> Any:
        match instruction:
            case ["parallel", programs]:
                return self._parallel(key, programs)
            case ["invoke", program]:
                return self._invoke(key, program)
            case ["raise", times]:
                self._raise(times)
                return None
            case ["fail"]:
                raise Ended
        if key in self.open:
            raise Pending
        if key not in self.answers:
            self.answers[key] = self._answer(key, instruction)
        return self.answers[key]

    def _answer(self, key: str, instruction: list[Any]) -> Any:
        if instruction[0] in ("sleep", "wait"):
            self.open[key] = instruction
            raise Pending
        if instruction[0] == "run":
            attempt = self.attempts[key] = self.attempts.get(key, 0) + 1
            if attempt <= instruction[1]:
                if attempt > RETRIES:
                    return ERROR
                self.open[key] = instruction
                raise Pending
        return key

    def _parallel(self, key: str, programs: list[Program]) -> list[Any]:
        results: list[Any] = []
        for number, program in enumerate(programs):
            try:
                results.append(self._all(program, f"{key}.{number}."))
            except Pending:
                continue
        if len(results) < len(programs):
            raise Pending
        return results

    def _invoke(self, key: str, program: Program) -> Any:
        child = self.children.setdefault(key, Run(program))
        child.go_on()
        if not child.status:
            raise Pending
        return child.output if child.status == "completed" else ERROR

    def _raise(self, times: int) -> None:
        if self.attempt > times:
            return
        if self.attempt > RETRIES:
            raise Ended
        self.backs_off = True
        raise Pending
