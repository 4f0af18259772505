from __future__ import annotations

import pytest

from dicom_actors.archive.tag_cache import MAX_TAGS, remembered_by_tags


@pytest.mark.parametrize(("count", "calls"), [(MAX_TAGS, 1), (MAX_TAGS + 1, 2)])
def test_only_tags_of_a_usual_number_are_remembered(count: int, calls: int) -> None:
    asked = []

    @remembered_by_tags
    def last(tags):
        asked.append(tags)
        return tags[-1]

    assert last(tuple(range(count))) == last(tuple(range(count))) == count - 1
    assert len(asked) == calls
