-- Patients, studies, series and instances: a wide row for each, and what all its attributes are as a
-- blob. Columns with names of attributes are those of `attributes.py`.

-- Attributes of an instance as received, deflated: those of its series and above, and its own. There
-- is one for each series, whose first part its study and its patient may have for theirs.
CREATE TABLE header (
    id INTEGER PRIMARY KEY,
    upper BLOB NOT NULL,
    own BLOB NOT NULL
) STRICT;

-- UIDs that many instances have in common: SOP classes and transfer syntaxes.
CREATE TABLE common_uid (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE patient (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    header INTEGER NOT NULL REFERENCES header (id),
    patient_id TEXT,
    issuer_of_patient_id TEXT,
    patient_sex TEXT,
    ethnic_group TEXT,
    patient_comments TEXT,
    patient_name TEXT,
    patient_name_ideographic TEXT,
    patient_name_phonetic TEXT,
    other_patient_names TEXT,
    patient_birth_date INTEGER,
    patient_birth_time INTEGER,
    number_of_patient_related_studies INTEGER NOT NULL DEFAULT 0,
    number_of_patient_related_series INTEGER NOT NULL DEFAULT 0,
    number_of_patient_related_instances INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX patient_by_id ON patient (patient_id);
CREATE INDEX patient_by_name ON patient (patient_name);
CREATE INDEX patient_by_ideographic_name ON patient (patient_name_ideographic)
    WHERE patient_name_ideographic IS NOT NULL;
CREATE INDEX patient_by_phonetic_name ON patient (patient_name_phonetic)
    WHERE patient_name_phonetic IS NOT NULL;

CREATE TABLE study (
    id INTEGER PRIMARY KEY,
    patient INTEGER NOT NULL REFERENCES patient (id),
    header INTEGER NOT NULL REFERENCES header (id),
    changed REAL NOT NULL,
    patient_id TEXT,
    issuer_of_patient_id TEXT,
    patient_sex TEXT,
    ethnic_group TEXT,
    patient_comments TEXT,
    patient_name TEXT,
    patient_name_ideographic TEXT,
    patient_name_phonetic TEXT,
    other_patient_names TEXT,
    patient_birth_date INTEGER,
    patient_birth_time INTEGER,
    study_instance_uid TEXT NOT NULL UNIQUE,
    patient_age TEXT,
    accession_number TEXT,
    study_id TEXT,
    study_description TEXT,
    admitting_diagnoses_description TEXT,
    occupation TEXT,
    additional_patient_history TEXT,
    referring_physician_name TEXT,
    name_of_physicians_reading_study TEXT,
    study_date INTEGER,
    study_time INTEGER,
    other_study_numbers INTEGER,
    patient_size REAL,
    patient_weight REAL,
    number_of_study_related_series INTEGER NOT NULL DEFAULT 0,
    number_of_study_related_instances INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX study_by_patient ON study (patient);
CREATE INDEX study_by_patient_id ON study (patient_id);
CREATE INDEX study_by_name ON study (patient_name);
CREATE INDEX study_by_ideographic_name ON study (patient_name_ideographic)
    WHERE patient_name_ideographic IS NOT NULL;
CREATE INDEX study_by_phonetic_name ON study (patient_name_phonetic)
    WHERE patient_name_phonetic IS NOT NULL;
CREATE INDEX study_by_date ON study (study_date);
CREATE INDEX study_by_accession_number ON study (accession_number)
    WHERE accession_number IS NOT NULL;

CREATE TABLE modality_in_study (
    study INTEGER NOT NULL REFERENCES study (id),
    modality TEXT NOT NULL,
    instances INTEGER NOT NULL,
    PRIMARY KEY (study, modality)
) STRICT, WITHOUT ROWID;

CREATE TABLE sop_class_in_study (
    study INTEGER NOT NULL REFERENCES study (id),
    sop_class INTEGER NOT NULL REFERENCES common_uid (id),
    instances INTEGER NOT NULL,
    PRIMARY KEY (study, sop_class)
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES study (id),
    header INTEGER NOT NULL REFERENCES header (id),
    series_instance_uid TEXT NOT NULL,
    modality TEXT,
    series_description TEXT,
    body_part_examined TEXT,
    protocol_name TEXT,
    station_name TEXT,
    institution_name TEXT,
    series_date INTEGER,
    performed_procedure_step_start_date INTEGER,
    series_time INTEGER,
    performed_procedure_step_start_time INTEGER,
    series_number INTEGER,
    number_of_series_related_instances INTEGER NOT NULL DEFAULT 0,
    UNIQUE (series_instance_uid, study)
) STRICT;

CREATE INDEX series_by_study ON series (study);

CREATE TABLE instance (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series (id),
    sop_instance_uid TEXT NOT NULL UNIQUE,
    sop_class INTEGER NOT NULL REFERENCES common_uid (id),
    transfer_syntax INTEGER NOT NULL REFERENCES common_uid (id),
    container_identifier TEXT,
    instance_number INTEGER,
    -- A path or the like; the UIDs in it are written as {study}, {series} and {instance}.
    location TEXT NOT NULL,
    size INTEGER NOT NULL,
    header_length INTEGER NOT NULL,
    received REAL NOT NULL,
    checksum BLOB NOT NULL,
    pixel_data BLOB,
    -- Its own attributes, deflated with those in the header of its series as dictionary; NULL: the
    -- same bytes.
    header BLOB
) STRICT;

CREATE INDEX instance_by_series ON instance (series);

-- Other bytes that came under the UID of an instance, where both are kept.
CREATE TABLE other_version (
    id INTEGER PRIMARY KEY,
    sop_instance_uid TEXT NOT NULL,
    transfer_syntax INTEGER NOT NULL REFERENCES common_uid (id),
    location TEXT NOT NULL,
    size INTEGER NOT NULL,
    header_length INTEGER NOT NULL,
    received REAL NOT NULL,
    checksum BLOB NOT NULL,
    pixel_data BLOB
) STRICT;

CREATE INDEX other_version_by_uid ON other_version (sop_instance_uid);

-- When a study that changes no more is to be told of.
CREATE TABLE deadline (
    study_instance_uid TEXT PRIMARY KEY,
    due REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE total (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    patients INTEGER NOT NULL,
    studies INTEGER NOT NULL,
    series INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO total VALUES (1, 0, 0, 0, 0, 0);
