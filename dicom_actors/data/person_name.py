"""Person names: up to three groups of up to five components (PS3.5 6.2.1.1)."""

from __future__ import annotations

from typing import Self

__all__ = ["PersonName", "PersonNameGroup"]


class PersonNameGroup(str):
    """One component group of a person name: five components between carets.

    It is the text itself, with a property for each component; an absent component is empty.
    """

    __slots__ = ()

    @classmethod
    def from_components(
        cls,
        family_name: str = "",
        given_name: str = "",
        middle_name: str = "",
        prefix: str = "",
        suffix: str = "",
    ) -> Self:
        """Join components to a group; empty ones at the end leave no carets.

        Raises:
            ValueError: a component has a delimiter in it.
        """
        components = (family_name, given_name, middle_name, prefix, suffix)
        for component in components:
            if not {"^", "=", "\\"}.isdisjoint(component):
                raise ValueError(f"a component of a name has no ^, = or backslash: {component!r}")
        return cls("^".join(components).rstrip("^"))

    @property
    def components(self) -> tuple[str, str, str, str, str]:
        """The five components; spaces around them do not count."""
        parts = [part.strip(" ") for part in self.split("^")[:5]]
        parts += [""] * (5 - len(parts))
        return parts[0], parts[1], parts[2], parts[3], parts[4]

    @property
    def family_name(self) -> str:
        """The family name complex."""
        return self.components[0]

    @property
    def given_name(self) -> str:
        """The given name complex."""
        return self.components[1]

    @property
    def middle_name(self) -> str:
        """The middle name."""
        return self.components[2]

    @property
    def prefix(self) -> str:
        """The name prefix, for example ``Dr.``."""
        return self.components[3]

    @property
    def suffix(self) -> str:
        """The name suffix, for example ``Jr.``."""
        return self.components[4]


class PersonName(PersonNameGroup):
    """A value of PN: an alphabetic, an ideographic and a phonetic group.

    It is the text as it stands in the element, so it equals that text, and is kept as it came;
    the groups are taken apart when asked for. The component properties are those of the
    alphabetic group.
    """

    __slots__ = ()

    def __new__(cls, alphabetic: str = "", ideographic: str = "", phonetic: str = "") -> Self:
        """Make a name of its groups; empty ones at the end leave no equals signs.

        Args:
            alphabetic: the group in single-byte characters, ``family^given^middle^prefix^suffix``.
                A text with equals signs is taken as it is, as `parse` does.
            ideographic: the group in ideographic characters.
            phonetic: the group in phonetic characters.
        """
        if not ideographic and not phonetic:
            return super().__new__(cls, alphabetic)
        return super().__new__(cls, f"{alphabetic}={ideographic}={phonetic}".rstrip("="))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take the text of one value of PN, without padding."""
        return str.__new__(cls, text)

    @property
    def alphabetic(self) -> PersonNameGroup:
        """The first group, in single-byte characters."""
        return self._group(0)

    @property
    def ideographic(self) -> PersonNameGroup:
        """The second group, in ideographic characters."""
        return self._group(1)

    @property
    def phonetic(self) -> PersonNameGroup:
        """The third group, in phonetic characters."""
        return self._group(2)

    @property
    def components(self) -> tuple[str, str, str, str, str]:
        """The five components of the alphabetic group; spaces around them do not count."""
        return self.alphabetic.components

    def _group(self, number: int) -> PersonNameGroup:
        groups = self.split("=")
        return PersonNameGroup(groups[number].strip(" ") if number < len(groups) else "")
