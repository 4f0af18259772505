-- Which modalities and SOP classes a study has is a set, and how much there is of a patient is the sum
-- of its studies: so an instance that comes changes fewer rows.
ALTER TABLE modality_in_study DROP COLUMN instances;
ALTER TABLE sop_class_in_study DROP COLUMN instances;
ALTER TABLE patient DROP COLUMN number_of_patient_related_studies;
ALTER TABLE patient DROP COLUMN number_of_patient_related_series;
ALTER TABLE patient DROP COLUMN number_of_patient_related_instances;
