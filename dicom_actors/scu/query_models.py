"""The short names of what can be asked with C-FIND, C-GET and C-MOVE. PS3.4 C, K, U, V and others.

The SOP classes themselves are in the table of `data.dictionary`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors.data.dictionary import query_retrieve_sop_classes, uid_of
from dicom_actors.storage.contexts import sop_class_named

if TYPE_CHECKING:
    from dicom_actors.data import DataSet

__all__ = ["MODELS", "sop_class_for"]

MODELS: Final = {
    "patient": "PatientRootQueryRetrieveInformationModel",
    "study": "StudyRootQueryRetrieveInformationModel",
    "patient_study_only": "PatientStudyOnlyQueryRetrieveInformationModel",
    "composite_instance": "CompositeInstanceRootRetrieve",
    "without_bulk_data": "CompositeInstanceRetrieveWithoutBulkData",
    "worklist": "ModalityWorklistInformationModel",
    "ups_pull": "UnifiedProcedureStepPull",
    "ups_watch": "UnifiedProcedureStepWatch",
    "ups_query": "UnifiedProcedureStepQuery",
    "general_relevant_patient": "GeneralRelevantPatientInformationQuery",
    "breast_imaging_relevant_patient": "BreastImagingRelevantPatientInformationQuery",
    "cardiac_relevant_patient": "CardiacRelevantPatientInformationQuery",
    "product_characteristics": "ProductCharacteristicsQuery",
    "substance_approval": "SubstanceApprovalQuery",
    "hanging_protocol": "HangingProtocolInformationModel",
    "color_palette": "ColorPaletteQueryRetrieveInformationModel",
    "defined_procedure_protocol": "DefinedProcedureProtocolInformationModel",
    "protocol_approval": "ProtocolApprovalInformationModel",
    "generic_implant_template": "GenericImplantTemplateInformationModel",
    "implant_assembly_template": "ImplantAssemblyTemplateInformationModel",
    "implant_template_group": "ImplantTemplateGroupInformationModel",
    "inventory": "Inventory",
    "repository": "RepositoryQuery",
}
"""Names that users type, and how the keywords of their SOP classes begin in PS3.6."""


def sop_class_for(model: str | None, operation: str, identifier: DataSet) -> str:
    """Return the SOP class that a query or retrieval is for.

    Args:
        model: a key of `MODELS`, a UID, or a keyword; None: what the identifier looks like. With
            a Query/Retrieve Level that is ``"patient"`` at the level of patients and ``"study"``
            below; without one it is ``"worklist"`` if there is a Scheduled Procedure Step
            Sequence.
        operation: ``"C-FIND"``, ``"C-GET"`` or ``"C-MOVE"``.
        identifier: what is asked.

    Returns:
        A SOP class UID.

    Raises:
        ValueError: there is none of that name, or none with this operation.
    """
    if model is None:
        model = _model_of(identifier)
    stem = MODELS.get(model)
    if stem is None:
        try:
            return sop_class_named(model)
        except ValueError as error:
            from difflib import get_close_matches  # noqa: PLC0415 - costs import time

            close = get_close_matches(model, MODELS, n=1)
            hint = f"; close to it: {close[0]}" if close else ""
            raise ValueError(
                f"model: expected one of {', '.join(MODELS)}, or a SOP class{hint}; {error}"
            ) from None
    table = query_retrieve_sop_classes()
    for keyword in (stem + operation[2:].capitalize(), stem):
        uid = uid_of(keyword)
        if uid is not None and uid in table and table[uid].operation == operation:
            return uid
    raise ValueError(f"model {model!r} has no {operation}")


def _model_of(identifier: DataSet) -> str:
    level = identifier.get("QueryRetrieveLevel")
    if level == "PATIENT":
        return "patient"
    if level:
        return "study"
    if "ScheduledProcedureStepSequence" in identifier:
        return "worklist"
    raise ValueError(
        "expected a model, or an identifier with QueryRetrieveLevel or"
        " ScheduledProcedureStepSequence"
    )
