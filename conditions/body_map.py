"""Where conditions stand on the figure of the front page: marks, labels and the lines between them.

Lengths are in units of the figure (Condition.MAP_SIZE), counted from its top left.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .models import Condition, Edition

LEFT_ENDS, RIGHT_BEGINS = 98, 260  # the inner ends of labels on either side
BESIDE_MARK = 16  # a label on the left ends so far before its mark at the latest
BEND = 24  # a slanted line first runs so far from its label
SHOULDERS = 60  # above them a label on the left may be wider


@dataclass(frozen=True)
class Place:
    """A condition's mark, and its label at the height ``label_y`` of one side."""

    card: dict
    x: int
    y: int
    side: str
    label_y: int

    @property
    def is_left(self) -> bool:
        return self.side == Condition.MapSide.LEFT

    @property
    def label_edge(self) -> int:
        """Where the line begins: a label on the left stays clear of its mark."""
        return min(LEFT_ENDS, self.x - BESIDE_MARK) if self.is_left else RIGHT_BEGINS

    @property
    def label_width(self) -> int:
        """As the style sheet has it: of a narrow label, one on the left, one on the right."""
        if not self.is_left:
            return 104
        return 86 if self.label_edge < LEFT_ENDS else LEFT_ENDS

    @property
    def look(self) -> str:
        """The classes of the label."""
        narrow = " narrow" if self.label_width < LEFT_ENDS else ""
        free = " beside-head" if self.is_left and self.label_y < SHOULDERS else ""
        return f"{self.side}{narrow}{free}"

    @property
    def line(self) -> str:
        """The path of an SVG that leads from the label to the mark."""
        bend = BEND if self.is_left else -BEND
        if self.label_y == self.y:
            return f"M{self.label_edge} {self.y}H{self.x}"
        return f"M{self.label_edge} {self.label_y}h{bend}L{self.x} {self.y}"


def places(editions: Iterable[Edition]) -> list[Place]:
    """Return the Place of each of these editions of conditions that has one, top down."""
    found = []
    for edition in editions:
        at = edition.page.condition
        if at and None not in (at.map_x, at.map_y, at.map_label_y):
            found.append(Place(edition.card, at.map_x, at.map_y, at.map_side, at.map_label_y))
    return sorted(found, key=lambda place: (place.label_y, place.y))
