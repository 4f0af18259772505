"""Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1.2 and its annexes H to K)."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import charset as pydicom_charset
from pydicom.valuerep import PersonName as PydicomName

from dicom_actors.data.values.character_sets import DEFAULT, CharacterSet, TextKind
from dicom_actors.errors import EncodeError

TEXT, VALUES, PERSON_NAME = TextKind.TEXT, TextKind.VALUES, TextKind.PERSON_NAME
KINDS = (TEXT, VALUES, PERSON_NAME)
law = settings(derandomize=True, deadline=None, max_examples=150)

# Number of the defined term, final of the escape sequence, Python codec (PS3.3 table C.12-2, -3).
SINGLE_BYTE = [
    ("100", b"-A", "iso8859_1"),
    ("101", b"-B", "iso8859_2"),
    ("109", b"-C", "iso8859_3"),
    ("110", b"-D", "iso8859_4"),
    ("126", b"-F", "iso8859_7"),
    ("127", b"-G", "iso8859_6"),
    ("138", b"-H", "iso8859_8"),
    ("144", b"-L", "iso8859_5"),
    ("148", b"-M", "iso8859_9"),
    ("166", b"-T", "tis_620"),
    ("203", b"-b", "iso8859_15"),
    ("13", b")I", "shift_jis"),
]
# Number, escape sequence, some text in it, its bytes (PS3.3 table C.12-4).
MULTI_BYTE = [
    ("87", b"$B", "山田太郎", b";3EDB@O:"),
    ("159", b"$(D", "丂佹鱲龥", b"0!0xkUmc"),
    ("149", b"$)C", "홍길동洪", b"\xc8\xab\xb1\xe6\xb5\xbf\xfb\xf3"),
    ("58", b"$)A", "张小东王", b"\xd5\xc5\xd0\xa1\xb6\xab\xcd\xf5"),
]
STAND_ALONE = [("ISO_IR 192", "utf_8"), ("GB18030", "gb18030"), ("GBK", "gbk")]


def upper_half(codec):
    """All characters that the upper half of a single-byte set has, and their bytes."""
    first = 0xA1 if codec == "shift_jis" else 0xA0
    last = 0xDF if codec == "shift_jis" else 0xFF
    text = bytes(range(first, last + 1)).decode(codec, "ignore")
    return text, text.encode(codec)


# --- every defined term --------------------------------------------------------------------


@pytest.mark.parametrize(("number", "escape", "codec"), SINGLE_BYTE)
@pytest.mark.parametrize("kind", KINDS)
def test_single_byte_sets(number, escape, codec, kind):
    text, raw = upper_half(codec)
    for term in (f"ISO_IR {number}", f"ISO 2022 IR {number}"):
        characters = CharacterSet.of((term,))
        assert characters.problem is None
        assert characters.decode(b"abc " + raw, kind) == ("abc " + text, None)
        assert characters.encode("abc " + text, kind) == b"abc " + raw
    assert len(text) >= 45


@pytest.mark.parametrize(("number", "escape", "codec"), SINGLE_BYTE)
def test_single_byte_sets_by_escape_sequence(number, escape, codec):
    text, raw = upper_half(codec)
    characters = CharacterSet.of(("", f"ISO 2022 IR {number}"))
    coded = b"abc\x1b" + escape + raw + b" xyz"
    assert characters.decode(coded, TEXT) == ("abc" + text + " xyz", None)
    assert characters.encode("abc" + text + " xyz", TEXT) == coded


@pytest.mark.parametrize(("number", "escape", "text", "raw"), MULTI_BYTE)
@pytest.mark.parametrize("kind", KINDS)
def test_multi_byte_sets(number, escape, text, raw, kind):
    home = b"\x1b(B" if number in {"87", "159"} else b""
    coded = b"abc \x1b" + escape + raw + home + b" xyz"
    for terms in (("", f"ISO 2022 IR {number}"), ("ISO 2022 IR 6", f"ISO 2022 IR {number}")):
        characters = CharacterSet.of(terms)
        assert characters.problem is None
        assert characters.codec is None
        assert characters.decode(coded, kind) == (f"abc {text} xyz", None)
        assert characters.encode(f"abc {text} xyz", kind) == coded


@pytest.mark.parametrize(("term", "codec"), STAND_ALONE)
@pytest.mark.parametrize("kind", KINDS)
def test_sets_that_stand_alone(term, codec, kind):
    characters = CharacterSet.of((term,))
    text = "Zhang^XiaoDong=张^小东="
    assert (characters.codec, characters.problem) == (codec, None)
    assert characters.decode(text.encode(codec), kind) == (text, None)
    assert characters.encode(text, kind) == text.encode(codec)


def test_default_repertoire():
    assert CharacterSet.of(()).codec == DEFAULT.codec
    assert CharacterSet.of(("",)).codec == DEFAULT.codec == "ascii"
    assert CharacterSet.of(("ISO_IR 6",)).codec == "ascii"
    assert DEFAULT.decode(b"Doe^John", PERSON_NAME) == ("Doe^John", None)
    assert DEFAULT.encode("Doe^John", PERSON_NAME) == b"Doe^John"


# --- the examples of PS3.5 -----------------------------------------------------------------

EXAMPLES = {
    "H.3.1": (
        ("", "ISO 2022 IR 87"),
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "H.3.2": (
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        (
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J="
            b"\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
        ),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    "I.2": (
        ("", "ISO 2022 IR 149"),
        (
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7="
            b"\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
        ),
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "J.3": (
        ("ISO_IR 192",),
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=",
        "Wang^XiaoDong=王^小東=",
    ),
    "J.4": (
        ("GB18030",),
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
        "Wang^XiaoDong=王^小东=",
    ),
    "K.2": (
        ("", "ISO 2022 IR 58"),
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
}


@pytest.mark.parametrize(("terms", "raw", "text"), EXAMPLES.values(), ids=EXAMPLES)
def test_examples_of_the_standard(terms, raw, text):
    characters = CharacterSet.of(terms)
    assert characters.decode(raw, PERSON_NAME) == (text, None)
    assert characters.encode(text, PERSON_NAME) == raw
    encodings = pydicom_charset.convert_encodings(list(terms))
    # pydicom leaves the designation of ISO-IR 58 and drops empty groups at the end.
    theirs = str(PydicomName(raw, encodings).decode()).replace("\x1b$)A", "")
    assert theirs == text.rstrip("=")


def test_lines_of_text_in_korean_and_chinese():
    # PS3.5 I.3, K.3: the designation is repeated on every line.
    korean = CharacterSet.of(("", "ISO 2022 IR 149"))
    raw = b"\x1b$)C\xb1\xe8 abc\r\n\x1b$)C\xb1\xe6\r\n"
    assert korean.decode(raw, TEXT) == ("김 abc\r\n길\r\n", None)
    assert korean.encode("김 abc\r\n길\r\n", TEXT) == raw


# --- where code extensions end (PS3.5 6.1.2.5.3) -------------------------------------------


def test_state_is_restored_before_delimiters():
    characters = CharacterSet.of(("ISO 2022 IR 100", "ISO 2022 IR 144", "ISO 2022 IR 87"))
    assert characters.encode("Д\\é", VALUES) == b"\x1b-L\xb4\x1b-A\\\xe9"
    assert characters.encode("山\\é", VALUES) == b"\x1b$B;3\x1b(B\\\xe9"
    assert characters.encode("Д^Д", PERSON_NAME) == b"\x1b-L\xb4\x1b-A^\x1b-L\xb4\x1b-A"
    assert characters.encode("Д^Д", VALUES) == b"\x1b-L\xb4^\xb4\x1b-A"
    assert characters.encode("Д\\\nД", TEXT) == b"\x1b-L\xb4\\\x1b-A\n\x1b-L\xb4\x1b-A"


def test_delimiters_end_code_extensions():
    characters = CharacterSet.of(("ISO 2022 IR 100", "ISO 2022 IR 144"))
    assert characters.decode(b"\x1b-L\xb4\\\xb4", VALUES) == ("Д\\\xb4", None)
    assert characters.decode(b"\x1b-L\xb4\\\xb4", TEXT) == ("Д\\Д", None)
    assert characters.decode(b"\x1b-L\xb4^\xb4=\xb4", PERSON_NAME) == ("Д^\xb4=\xb4", None)
    assert characters.decode(b"\x1b-L\xb4^\xb4=\xb4", VALUES) == ("Д^Д=Д", None)
    for control in (b"\t", b"\n", b"\f", b"\r"):
        text, problem = characters.decode(b"\x1b-L\xb4" + control + b"\xb4", TEXT)
        assert (text[0], text[2], problem) == ("Д", "\xb4", None)


def test_designation_forgotten_after_a_delimiter():
    characters = CharacterSet.of(("", "ISO 2022 IR 149"))
    text, problem = characters.decode(b"Kim=\x1b$)C\xb1\xe8^\xb1\xe6", PERSON_NAME)
    assert text == "Kim=김^길"
    assert "designated" in problem


def test_designation_forgotten_altogether():
    characters = CharacterSet.of(("", "ISO 2022 IR 58"))
    text, problem = characters.decode(b"\xd5\xc5^\xd0\xa1", PERSON_NAME)
    assert text == "张^小"
    assert "designated" in problem


# --- bytes of delimiters inside characters -------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "text", "delimiter"),
    [
        (("GB18030",), "乗\\俓", b"\\"),
        (("GBK",), "乗\\俓", b"\\"),
        (("", "ISO 2022 IR 87"), "移\\嵎", b"\\"),
        (("", "ISO 2022 IR 87"), "実^竺=充", b"="),
    ],
)
def test_delimiter_bytes_inside_characters(terms, text, delimiter):
    characters = CharacterSet.of(terms)
    kind = PERSON_NAME if delimiter == b"=" else VALUES
    raw = characters.encode(text, kind)
    assert raw.count(delimiter) > text.count(delimiter.decode())
    assert characters.decode(raw, kind) == (text, None)


# --- problems and what is made of them -----------------------------------------------------


@pytest.mark.parametrize("terms", [(), ("ISO_IR 999",), ("no such set",)])
def test_undeclared_bytes_are_utf_8_or_latin_1(terms):
    characters = CharacterSet.of(terms)
    for raw, name in (("Müller".encode(), "UTF-8"), ("Müller".encode("latin-1"), "Latin-1")):
        text, problem = characters.decode(raw, VALUES)
        assert text == "Müller"
        assert name in problem


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        (("ISO_IR 192",), b"M\xfcller", "M\ufffdller"),
        (("ISO_IR 126",), b"a\xffb", "a\ufffdb"),
        (("GB18030",), b"a\xff", "a\ufffd"),
        (("", "ISO 2022 IR 87"), b"\x1b$B;3E\x1b(Bx", "山\ufffdx"),
        (("", "ISO 2022 IR 149"), b"\x1b$)C\xb1x", "\ufffdx"),
    ],
)
def test_undefined_bytes_become_the_replacement_character(terms, raw, text):
    decoded, problem = CharacterSet.of(terms).decode(raw, TEXT)
    assert decoded == text
    assert problem


@pytest.mark.parametrize("raw", [b"ab\x1b", b"ab\x1b$", b"ab\x1b$)", b"ab\x1b-Zcd", b"\x1b$@;3"])
def test_escape_sequences_that_are_cut_short_or_unknown(raw):
    text, problem = CharacterSet.of(("", "ISO 2022 IR 87")).decode(raw, TEXT)
    assert text == raw.decode("ascii")
    assert "escape sequence" in problem


def test_escape_to_a_set_that_is_not_declared():
    text, problem = CharacterSet.of(("ISO 2022 IR 100", "ISO 2022 IR 87")).decode(
        b"\x1b-L\xb4", TEXT
    )
    assert text == "Д"
    assert "ISO-IR 144" in problem


def test_shift_jis_in_the_place_of_katakana():
    characters = CharacterSet.of(("ISO_IR 13",))
    text, problem = characters.decode("山田ﾔﾏﾀﾞ".encode("shift_jis"), VALUES)
    assert text == "山田ﾔﾏﾀﾞ"
    assert "Shift_JIS" in problem


@pytest.mark.parametrize(
    ("terms", "meant"),
    [
        (("ISO IR 100",), ("ISO_IR 100",)),
        (("ISO-IR 100",), ("ISO_IR 100",)),
        (("iso_ir 192",), ("ISO_IR 192",)),
        (("UTF-8",), ("ISO_IR 192",)),
        (("", "ISO2022 IR 87"), ("", "ISO 2022 IR 87")),
        (("", "ISO_2022_IR_87"), ("", "ISO 2022 IR 87")),
        (("", "ISO_IR 87"), ("", "ISO 2022 IR 87")),
        (("ISO_IR 100", "ISO_IR 144"), ("ISO 2022 IR 100", "ISO 2022 IR 144")),
        (("ISO_IR 192", "ISO 2022 IR 87"), ("ISO_IR 192",)),
        (("ISO 2022 IR 100", "GBK"), ("ISO 2022 IR 100",)),
    ],
)
def test_terms_whose_sense_is_clear(terms, meant):
    given_terms, proper = CharacterSet.of(terms), CharacterSet.of(meant)
    assert given_terms.problem
    assert proper.problem is None
    raw = b"a\x1b$B;3\x1b(B \xb4\xe9"
    assert given_terms.decode(raw, TEXT) == proper.decode(raw, TEXT)


def test_unknown_terms_are_named():
    assert "'ISO_IR 999'" in CharacterSet.of(("ISO_IR 999",)).problem


# --- what cannot be encoded ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "text", "position"),
    [
        ((), "Müller", 1),
        (("ISO_IR 100",), "Ωmega", 0),
        (("ISO_IR 13",), "ab山", 2),
        (("ISO_IR 13",), "¥", 0),
        (("", "ISO 2022 IR 87"), "x홍", 1),
        (("", "ISO 2022 IR 87"), "\x85", 0),
        (("", "ISO 2022 IR 87"), "山\x1b", 1),
        (("", "ISO 2022 IR 159"), "山", 0),
        (("", "ISO 2022 IR 149"), "¶€😀", 2),
        (("GBK",), "😀", 0),
        (("ISO_IR 999",), "é", 0),
    ],
)
def test_characters_that_no_declared_set_has(terms, text, position):
    with pytest.raises(EncodeError) as caught:
        CharacterSet.of(terms).encode(text, TEXT)
    assert f"position {position}" in str(caught.value)
    assert repr(text[position]) in str(caught.value)


# --- laws ----------------------------------------------------------------------------------

COMBINATIONS = [
    ("ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 159"),
    ("", "ISO 2022 IR 149", "ISO 2022 IR 58", "ISO 2022 IR 144"),
    ("ISO 2022 IR 100", "ISO 2022 IR 126", "ISO 2022 IR 87"),
    ("ISO_IR 192",),
    ("GB18030",),
    ("ISO_IR 148",),
]
REPERTOIRE = "aZ09 ~-.^=\\\n\tДЖéß€Ωλﾔﾏﾞ山田太郎申充丂佹홍길동洪张小东王俓'*"


@law
@given(st.sampled_from(COMBINATIONS), st.text(alphabet=REPERTOIRE, max_size=30))
def test_what_is_encoded_is_decoded(terms, text):
    characters = CharacterSet.of(terms)
    for kind in KINDS:
        try:
            raw = characters.encode(text, kind)
        except EncodeError:
            continue
        assert characters.decode(raw, kind) == (text, None)


@law
@given(st.sampled_from(COMBINATIONS), st.lists(st.text(alphabet="ДéλﾔﾏA山홍张 ", max_size=6)))
def test_values_are_encoded_independently(terms, values):
    characters = CharacterSet.of(terms)
    try:
        parts = [characters.encode(value, VALUES) for value in values]
    except EncodeError:
        return
    assert characters.encode("\\".join(values), VALUES) == b"\\".join(parts)


ESCAPES = [b"\x1b" + escape for _, escape, _ in SINGLE_BYTE]
ESCAPES += [b"\x1b" + escape for _, escape, _, _ in MULTI_BYTE]
fragments = st.one_of(
    st.binary(max_size=5), st.sampled_from([*ESCAPES, b"\x1b(B", b"\x1b(J", b"\x1b", b"\\", b"^"])
)


@law
@given(
    st.sampled_from([*COMBINATIONS, (), ("",), ("ISO_IR 13",), ("x", "y")]),
    st.lists(fragments, max_size=8),
)
def test_any_bytes_are_decoded(terms, parts):
    for kind in KINDS:
        text, problem = CharacterSet.of(terms).decode(b"".join(parts), kind)
        assert isinstance(text, str)
        assert problem is None or problem


@law
@given(st.sampled_from(COMBINATIONS[:3]), st.text(alphabet=REPERTOIRE, max_size=20))
def test_pydicom_reads_what_is_encoded(terms, text):
    characters = CharacterSet.of(terms)
    try:
        raw = characters.encode(text, PERSON_NAME)
    except EncodeError:
        return
    encodings = pydicom_charset.convert_encodings(list(terms))
    delimiters = {0x5C, 0x5E, 0x3D, 0x0A, 0x09}
    # pydicom leaves the designation of ISO-IR 58 in the text.
    theirs = pydicom_charset.decode_bytes(raw, encodings, delimiters)
    assert theirs.replace("\x1b$)A", "") == text


@given(st.lists(st.text(max_size=20), max_size=4).map(tuple))
@law
def test_any_terms_are_taken(terms):
    characters = CharacterSet.of(terms)
    assert characters.decode(b"abc", VALUES) == ("abc", None)
    assert characters == CharacterSet(terms)
    assert hash(characters) == hash(CharacterSet(terms))


def test_character_sets_can_be_pickled():
    characters = CharacterSet.of(("", "ISO 2022 IR 87"))
    assert pickle.loads(pickle.dumps(characters)) == characters
    assert repr(characters) == "CharacterSet(('', 'ISO 2022 IR 87'))"
