"""lmresp: response calls for leptomeningeal metastasis from cytology, MRI and neurological examination.

Research use only. The package drafts; people decide.
"""

__version__ = "0.1.0"

RESEARCH_USE = (
    "Research use only. lmresp names a response call or a pathway branch with its evidence and certainty; "
    "it is not a diagnosis, a prescription or a recommendation for an individual subject."
)
