"""The table: one row a measurement, with the peer of the same run beside it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table; figures are text with their unit."""

    what: str
    ours: str
    peer: str = ""
    ratio: str = ""
    must: str = ""
    goal: str = ""

    def __str__(self) -> str:
        """Spell it in Markdown."""
        return f"| {self.what} | {self.ours} | {self.peer} | {self.ratio} | {self.must} | {self.goal} |"


HEAD = Row("what", "ours", "peer", "ratio", "must", "goal"), Row("---", "---", "---", "---", "---", "---")
