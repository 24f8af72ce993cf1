"""Files and documents that say nothing in particular."""

from typing import Any

LOCATIONS = b"PortNumber,AccNumber,LocNumber,BuildingTIV\n1,A1,1,100000\n1,A1,2,200000\n"
ANALYSIS_SETTINGS: dict[str, Any] = {
    "model_supplier_id": "OasisLMF",
    "model_name_id": "PiWind",
    "model_settings": {},
    "gul_output": True,
    "gul_summaries": [{"id": 1, "ord_output": {"plt_sample": True}}],
}
MODEL_SETTINGS: dict[str, Any] = {"model_settings": {}, "lookup_settings": {}}
