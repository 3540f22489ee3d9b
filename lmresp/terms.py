"""Every closed list of lmresp: one line of meaning for each value.

The values are the words of the criteria schemes (``lmresp/criteria/schemes``), of DICOM and of the input tables;
code and tables use no other spelling.
"""

from enum import StrEnum


class Sequence(StrEnum):
    """What a series shows, after classification."""

    T1_PRE = "T1_PRE"  # T1-weighted before contrast, or of a scan without contrast
    T1_POST = "T1_POST"  # T1-weighted after gadolinium
    T1_UNKNOWN = "T1_UNKNOWN"  # T1-weighted, contrast state not known
    FLAIR = "FLAIR"  # fluid-attenuated inversion recovery before contrast, or contrast state not known
    FLAIR_POST = "FLAIR_POST"  # FLAIR after gadolinium
    T2 = "T2"  # T2-weighted
    DWI = "DWI"  # diffusion
    OTHER = "OTHER"  # an MR image of another kind
    NON_IMAGE = "NON_IMAGE"  # report, structure set, presentation state: skipped


class BodyPart(StrEnum):
    """Region that a series covers."""

    BRAIN = "BRAIN"
    CERVICAL = "CERVICAL"
    THORACIC = "THORACIC"
    LUMBAR = "LUMBAR"
    SPINE = "SPINE"
    OTHER = "OTHER"
    UNKNOWN = "UNKNOWN"


class Plane(StrEnum):
    """Slice orientation."""

    AXIAL = "AXIAL"
    CORONAL = "CORONAL"
    SAGITTAL = "SAGITTAL"
    OBLIQUE = "OBLIQUE"
    UNKNOWN = "UNKNOWN"


class Item(StrEnum):
    """Items of the MRI scorecard (clinical_data: mri_reads)."""

    NODULES = "NODULES"
    LINEAR = "LINEAR"
    HYDROCEPHALUS = "HYDROCEPHALUS"
    CRANIAL_NERVE = "CRANIAL_NERVE"
    PARENCHYMAL = "PARENCHYMAL"
    OVERALL = "OVERALL"


class Presence(StrEnum):
    """State of a scorecard item on one scan."""

    PRESENT = "PRESENT"
    ABSENT = "ABSENT"
    NE = "NE"


class Change(StrEnum):
    """Change of a scorecard item against the reference scan."""

    IMPROVED = "IMPROVED"
    NO_CHANGE = "NO CHANGE"
    WORSE = "WORSE"
    NE = "NE"


class Csf(StrEnum):
    """Cytology strand of one visit, in the words of the RANO-LM scheme."""

    CLEARED = "cleared"
    NEGATIVE = "negative"
    EQUIVOCAL = "equivocal"
    POSITIVE_PERSISTENT = "positive_persistent"
    POSITIVE_NEW = "positive_new"
    MISSING = "missing"


class Neuro(StrEnum):
    """Neurological examination strand of one visit."""

    IMPROVED = "improved"
    STABLE = "stable"
    WORSE = "worse"
    NOT_EVALUABLE = "not_evaluable"


class Imaging(StrEnum):
    """MRI strand of one visit (LM only; parenchymal lesions apart)."""

    IMPROVED = "improved"
    STABLE = "stable"
    PROGRESSIVE = "progressive"
    NOT_EVALUABLE = "not_evaluable"


class Steroids(StrEnum):
    """Corticosteroid dose of one visit against the baseline visit, in the words of CDISC's codelist ONCRSR."""

    NONE = "NONE BEYOND PHYSIOLOGIC REPLACEMENT DOSE"
    DECREASED = "DECREASED"
    STABLE = "STABLE"
    INCREASED = "INCREASED"
    UNKNOWN = "UNKNOWN"  # not a word of the codelist: the dose here or at baseline cannot be told


class Call(StrEnum):
    """Overall call of one visit."""

    RESPONSE = "RESPONSE"
    STABLE = "STABLE"
    SUSPECTED_PROGRESSION = "SUSPECTED_PROGRESSION"
    PROGRESSION = "PROGRESSION"
    NOT_EVALUABLE = "NOT_EVALUABLE"


class Certainty(StrEnum):
    """How sure the source of a rule is; only the first two may be reported as a published criterion."""

    SEEN = "seen"
    SEEN_SECONDARY = "seen_secondary"
    INFERRED = "inferred"
    RECALLED = "recalled"
    CONVENTION = "convention"
