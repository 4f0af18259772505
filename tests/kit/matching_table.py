# ruff: noqa: RUF001 - widths are what it is about
"""What a key means: attribute, key, stored value, whether it matches (PS3.4 C.2.2.2).

A row's value is kept in a study of its own; ``None`` is no attribute at all. Names ignore accents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.stored_instances import data_set

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors import DataSet

ROWS: list[tuple[str, Any, Any, bool]] = [
    # Universal matching.
    ("PatientName", "", "Doe^John", True),
    ("PatientName", "*", "Doe^John", True),
    ("PatientName", "*", None, True),
    ("PatientName", "**", "", True),
    ("AccessionNumber", "", "A1", True),
    ("AccessionNumber", "*", "", True),
    ("AccessionNumber", "*", None, True),
    ("StudyDate", "", None, True),
    ("StudyDate", "*", "20200101", True),
    ("StudyTime", "", "1030", True),
    ("PatientBirthDate", "", None, True),
    ("PatientSex", "*", None, True),
    ("ModalitiesInStudy", "", None, True),
    ("StudyDescription", "***", "x", True),
    # Single values of text: case counts, all of it must be the same.
    ("AccessionNumber", "A1", "A1", True),
    ("AccessionNumber", "a1", "A1", False),
    ("AccessionNumber", "A1", "A12", False),
    ("AccessionNumber", "A12", "A1", False),
    ("AccessionNumber", "A1", "", False),
    ("AccessionNumber", "A1", None, False),
    ("AccessionNumber", "A1 ", "A1", True),
    ("AccessionNumber", "A 1", "A 1", True),
    ("AccessionNumber", "A 1", "A1", False),
    ("StudyID", "1", "01", False),
    ("StudyID", "[1]", "[1]", True),
    ("StudyID", "%", "x", False),
    ("StudyID", "_", "x", False),
    ("StudyID", "%", "%", True),
    ("StudyID", "'", "'", True),
    ("StudyID", "' OR 1=1 --", "x", False),
    ("StudyDescription", "Kopf", "Kopf", True),
    ("StudyDescription", "kopf", "Kopf", False),
    ("StudyDescription", "Schädel", "Schädel", True),
    ("StudyDescription", "Schadel", "Schädel", False),
    ("PatientSex", "M", "M", True),
    ("PatientSex", "M", "F", False),
    ("PatientComments", "a comment", "a comment", True),
    ("PatientComments", "a comment", "another", False),
    ("EthnicGroup", "x", "x", True),
    ("Occupation", "clerk", "clerk", True),
    ("AdditionalPatientHistory", "none", "none", True),
    ("IssuerOfPatientID", "H", "H", True),
    ("IssuerOfPatientID", "H", "I", False),
    ("PatientAge", "030Y", "030Y", True),
    ("PatientAge", "030Y", "030M", False),
    # Numbers are compared as numbers.
    ("OtherStudyNumbers", "7", "7", True),
    ("OtherStudyNumbers", "7", "007", True),
    ("OtherStudyNumbers", "7", "77", False),
    ("OtherStudyNumbers", "7", ["5", "7"], True),
    ("PatientWeight", "70", "70", True),
    ("PatientWeight", "70", "70.0", True),
    ("PatientWeight", "70", "71", False),
    ("PatientSize", "1.8", "1.80", True),
    # Lists of UIDs.
    ("StudyInstanceUID", "1.2.{row}", "1.2.{row}", True),
    ("StudyInstanceUID", ["1.9", "1.2.{row}"], "1.2.{row}", True),
    ("StudyInstanceUID", ["1.8", "1.9"], "1.2.{row}", False),
    ("StudyInstanceUID", "1.2", "1.2.{row}", False),
    ("StudyInstanceUID", "1.2.*", "1.2.{row}", False),
    ("StudyInstanceUID", "*", "1.2.{row}", True),
    ("SOPClassesInStudy", "1.2.840.10008.5.1.4.1.1.2", None, True),
    ("SOPClassesInStudy", "1.2.840.10008.5.1.4.1.1.4", None, False),
    # Wild cards.
    ("AccessionNumber", "A*", "A1", True),
    ("AccessionNumber", "A*", "A", True),
    ("AccessionNumber", "A*", "BA", False),
    ("AccessionNumber", "*1", "A1", True),
    ("AccessionNumber", "*1", "A12", False),
    ("AccessionNumber", "*1*", "A12", True),
    ("AccessionNumber", "A*2", "A12", True),
    ("AccessionNumber", "A*2", "A21", False),
    ("AccessionNumber", "A?", "A1", True),
    ("AccessionNumber", "A?", "A", False),
    ("AccessionNumber", "A?", "A12", False),
    ("AccessionNumber", "??", "A1", True),
    ("AccessionNumber", "??", "A", False),
    ("AccessionNumber", "?*", "A", True),
    ("AccessionNumber", "?*", "", False),
    ("AccessionNumber", "?", None, False),
    ("AccessionNumber", "*A*B*C*", "xAyBzC", True),
    ("AccessionNumber", "*A*B*C*", "xAyCzB", False),
    ("AccessionNumber", "a*", "A1", False),
    ("StudyID", "*[", "a[", True),
    ("StudyID", "[ab]*", "a", False),
    ("StudyID", "*\u00e4*", "xäy", True),
    ("StudyDescription", "Kopf*", "Kopf nativ", True),
    ("StudyDescription", "*nativ", "Kopf nativ", True),
    ("StudyDescription", "Kopf?nativ", "Kopf nativ", True),
    ("PatientSex", "?", "M", True),
    ("PatientSex", "?", "", False),
    ("PatientID", "P{row}", "P{row}", True),
    ("PatientID", "P*", "P{row}", True),
    ("PatientID", "Q*", "P{row}", False),
    # Wild cards mean nothing in dates, numbers, ages.
    ("PatientAge", "03?Y", "030Y", False),
    ("PatientAge", "*Y", "030Y", False),
    # Person names.
    ("PatientName", "Doe^John", "Doe^John", True),
    ("PatientName", "DOE^JOHN", "Doe^John", True),
    ("PatientName", "doe^john", "DOE^JOHN", True),
    ("PatientName", "Doe", "Doe^John", False),
    ("PatientName", "Doe", "Doe", True),
    ("PatientName", "Doe*", "Doe^John", True),
    ("PatientName", "Doe^*", "Doe^John", True),
    ("PatientName", "Doe^*", "Doe", True),
    ("PatientName", "Doe^*", "Doering^John", False),
    ("PatientName", "Doe*", "Doering^John", True),
    ("PatientName", "*^John", "Doe^John", True),
    ("PatientName", "*John*", "Doe^John^M", True),
    ("PatientName", "Do?^John", "Doe^John", True),
    ("PatientName", "D?^John", "Doe^John", False),
    ("PatientName", "Doe^John^^^", "Doe^John", True),
    ("PatientName", "Doe ^ John", "Doe^John", True),
    ("PatientName", "Doe^John", "Doe^John^^Dr", False),
    ("PatientName", "Doe^J*", "Doe^John^^Dr", True),
    ("PatientName", "Müller*", "Müller^Jörg", True),
    ("PatientName", "muller*", "Müller^Jörg", True),
    ("PatientName", "MÜLLER^JORG", "Muller^Jörg", True),
    ("PatientName", "m?ller*", "Müller^Jörg", True),
    ("PatientName", "Mueller*", "Müller^Jörg", False),
    ("PatientName", "Yamada*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
    ("PatientName", "山田*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
    ("PatientName", "やまだ^*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
    ("PatientName", "=山田*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
    ("PatientName", "=Yamada*", "Yamada^Tarou=山田^太郎=やまだ^たろう", False),
    ("PatientName", "Yamada*=山*", "Yamada^Tarou=山田^太郎", True),
    ("PatientName", "Suzuki*=山*", "Yamada^Tarou=山田^太郎", False),
    # Letters and kana in half width and full width are the same (NFKC).
    ("PatientName", "yamada^taro", "Ｙａｍａｄａ^Ｔａｒｏ", True),
    ("PatientName", "ＹＡＭＡＤＡ*", "Yamada^Taro", True),
    ("PatientName", "ﾔﾏﾀﾞ*", "=山田=ヤマダ^タロウ", True),
    ("PatientName", "ヤマダ^タロウ", "ﾔﾏﾀﾞ^ﾀﾛｳ", True),
    ("PatientName", "ヤマ?^*", "ﾔﾏﾀﾞ^ﾀﾛｳ", True),
    ("PatientName", "ﾊﾟ*", "パク", True),
    ("PatientName", "ヤマタ*", "ﾔﾏﾀﾞ^ﾀﾛｳ", False),
    ("PatientName", "山田 太郎", "山田　太郎", True),
    ("PatientName", "神*", "\ufa19谷", True),
    ("PatientName", "a＊", "abc", False),
    ("PatientName", "é", "Ｅ\u0301", True),
    ("OtherPatientNames", "ＲＯＥ*", ["Doe^J", "Roe^J"], True),
    ("ReferringPhysicianName", "*ﾀﾛｳ", "ヤマダ^タロウ", True),
    ("PatientName", "Doe^John", "", False),
    ("PatientName", "Doe^John", None, False),
    ("PatientName", "O'Neil*", "O'Neil^Pat", True),
    ("ReferringPhysicianName", "house*", "House^Gregory", True),
    ("ReferringPhysicianName", "*wilson*", "House^Gregory", False),
    ("NameOfPhysiciansReadingStudy", "cuddy*", ["House^G", "Cuddy^L"], True),
    ("NameOfPhysiciansReadingStudy", "chase*", ["House^G", "Cuddy^L"], False),
    ("OtherPatientNames", "roe*", ["Doe^J", "Roe^J"], True),
    # Dates and their ranges.
    ("StudyDate", "20200115", "20200115", True),
    ("StudyDate", "20200115", "20200116", False),
    ("StudyDate", "20200115", "2020.01.15", True),
    ("StudyDate", "20200101-20200131", "20200101", True),
    ("StudyDate", "20200101-20200131", "20200131", True),
    ("StudyDate", "20200101-20200131", "20200201", False),
    ("StudyDate", "20200101-", "20200101", True),
    ("StudyDate", "20200101-", "20191231", False),
    ("StudyDate", "-20200101", "20200101", True),
    ("StudyDate", "-20200101", "20200102", False),
    ("StudyDate", "20200131-20200101", "20200115", False),
    ("StudyDate", "20200115", None, False),
    ("StudyDate", "-20200115", "", False),
    ("StudyDate", "20200101-", "someday", False),
    ("PatientBirthDate", "19700101-19791231", "19750505", True),
    ("PatientBirthDate", "19700101-19791231", "19800101", False),
    # Times and their ranges.
    ("StudyTime", "103000", "103000", True),
    ("StudyTime", "1030", "103045", True),
    ("StudyTime", "1030", "103100", False),
    ("StudyTime", "10", "105959", True),
    ("StudyTime", "103000", "1030", True),
    ("StudyTime", "103000", "103000.5", True),
    ("StudyTime", "10:30:00", "103000", True),
    ("StudyTime", "1000-1200", "110000", True),
    ("StudyTime", "1000-1200", "120059", True),
    ("StudyTime", "1000-1200", "120100", False),
    ("StudyTime", "1000-", "095959", False),
    ("StudyTime", "-1000", "100000", True),
    ("PatientBirthTime", "1000-1100", "1030", True),
    # Several stored values: one is enough. Several values of a key: one is enough.
    ("AdmittingDiagnosesDescription", "flu", ["cold", "flu"], True),
    ("AdmittingDiagnosesDescription", "fl*", ["cold", "flu"], True),
    ("AdmittingDiagnosesDescription", "cold*flu", ["cold", "flu"], False),
    ("AccessionNumber", ["A1", "B1"], "B1", True),
    ("AccessionNumber", ["A1", "B*"], "B1", True),
    ("AccessionNumber", ["A1", "C1"], "B1", False),
    ("ModalitiesInStudy", "CT", None, True),
    ("ModalitiesInStudy", "MR", None, False),
    ("ModalitiesInStudy", ["MR", "CT"], None, True),
    ("ModalitiesInStudy", "C*", None, True),
    # Empty value matching.
    ("AccessionNumber", '""', "", True),
    ("AccessionNumber", '""', None, True),
    ("AccessionNumber", '""', "A1", False),
    ("PatientName", '""', "", True),
    ("PatientName", '""', "Doe", False),
    # Counts may be keys, too.
    ("NumberOfStudyRelatedInstances", "1", None, True),
    ("NumberOfStudyRelatedInstances", "2", None, False),
    # Sequences.
    ("ProcedureCodeSequence", {"CodeValue": "X1"}, [{"CodeValue": "X1"}], True),
    ("ProcedureCodeSequence", {"CodeValue": "X1"}, [{"CodeValue": "X2"}], False),
    ("ProcedureCodeSequence", {"CodeValue": "X?"}, [{"CodeValue": "Y"}, {"CodeValue": "X2"}], True),
    (
        "ProcedureCodeSequence",
        {"CodeValue": "X1", "CodingSchemeDesignator": "A"},
        [
            {"CodeValue": "X1", "CodingSchemeDesignator": "B"},
            {"CodeValue": "X2", "CodingSchemeDesignator": "A"},
        ],
        False,
    ),
    ("ProcedureCodeSequence", {"CodeValue": "X1"}, None, False),
    ("ProcedureCodeSequence", {"CodeValue": ""}, None, True),
    ("ReferencedStudySequence", {"ReferencedSOPInstanceUID": "1.5"}, None, False),
    (
        "OtherPatientIDsSequence",
        {"PatientID": "Q*"},
        [{"PatientID": "Q7"}],
        True,
    ),
]


def of_row(value: Any, row: int) -> Any:
    """A value of the table with the number of its row in it."""
    if isinstance(value, str):
        return value.replace("{row}", str(row))
    if isinstance(value, list):
        return [of_row(one, row) for one in value]
    return value


def entities() -> Iterator[DataSet]:
    """An instance for each row, the only one of its study."""
    for row, (keyword, _, stored, _) in enumerate(ROWS):
        made = data_set(SpecificCharacterSet="ISO_IR 192")
        made.update(StudyInstanceUID=f"1.2.{row}", SeriesInstanceUID=f"1.2.{row}.1")
        made.update(SOPInstanceUID=f"1.2.{row}.1.1", PatientID=f"P{row}")
        del made["PatientName"]
        if stored is not None:
            made.put(keyword, "LO" if stored == "someday" else None, of_row(stored, row))
        yield made
