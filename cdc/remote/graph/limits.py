"""How much one query may ask for: how deep, how many fields, and how many reads of the database."""

from __future__ import annotations

from collections.abc import Iterable

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionNode,
)
from graphql.language.ast import InlineFragmentNode, SelectionSetNode

TOKENS = 1000
"""To compare fields of one name with each other takes time by the square of them: a fifth of a second for so many."""

DEPTH = 15
FIELDS = 250
READS = 200


class Budget:
    """Reads of the database that one query has left."""

    def __init__(self, reads: int = READS) -> None:
        self._left = reads

    def spend(self) -> None:
        """One read.

        Raises:
            GraphQLError: there is none left.
        """
        self._left -= 1
        if self._left < 0:
            raise GraphQLError(f"A query reads the database {READS} times at most; ask for less at once.")


def check(document: DocumentNode) -> None:
    """Whether a valid query may be executed; fragments count wherever they are used.

    Raises:
        GraphQLError: it asks for too much.
    """
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    measured = _Measured(fragments)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            depth, fields = measured.of(node.selection_set)
            if depth > DEPTH:
                raise GraphQLError(f"A query has at most {DEPTH} fields within each other.")
            if fields > FIELDS:
                raise GraphQLError(f"A query has at most {FIELDS} fields.")


class _Measured:
    """Depth and fields of selections; each fragment is measured once. A valid document has no cycle of them."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, selections: SelectionSetNode | None) -> tuple[int, int]:
        """How deep, and how many fields."""
        found = [self._of(each) for each in _nodes(selections)]
        return max((depth for depth, _ in found), default=0), sum(fields for _, fields in found)

    def _of(self, node: SelectionNode) -> tuple[int, int]:
        if isinstance(node, FieldNode):
            depth, fields = self.of(node.selection_set)
            return depth + 1, fields + 1
        if isinstance(node, InlineFragmentNode):
            return self.of(node.selection_set)
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in self._known:
                self._known[name] = self.of(self._fragments[name].selection_set)
            return self._known[name]
        return 0, 0


def _nodes(selections: SelectionSetNode | None) -> Iterable[SelectionNode]:
    return () if selections is None else selections.selections
