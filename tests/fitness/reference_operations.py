"""What clients of the reference platform call: the operations of its version 2.5.6, as facts to compare ours with.

A line is: versions (``-``: none), path, methods. After a method stand its query parameters: ``@common`` are the twelve
of times and ``user``; ``name~`` is ``name`` and ``name__contains``; ``status*`` is ``status`` and ``status__in``.
"""

from collections.abc import Iterator
from typing import Final

Key = tuple[str, str]
"""Method, and path from ``/api/`` on."""

TABLE: Final = """
-      access_token/                                         POST
-      healthcheck/                                          GET
-      healthcheck_connections/                              GET
-      oed_peril_codes/                                      GET
-      oidc/authorize/                                       GET?next
-      oidc/callback/                                        GET?code,state POST
-      oidc/logout/                                          GET?id_token_hint
-      oidc/session_token/                                   POST
-      refresh_token/                                        POST
-      server_info/                                          GET
v1     analyses/                                             GET?@common,model*,name~,status*
v1,v2  analyses/                                             POST
v2     analyses/                                             GET?@common,model*,name~,run_mode*,status*
v1,v2  analyses/{id}/                                        GET PUT PATCH DELETE
v1,v2  analyses/{id}/cancel/                                 POST
v1,v2  analyses/{id}/cancel_analysis_run/                    POST
v1,v2  analyses/{id}/cancel_generate_inputs/                 POST
v1,v2  analyses/{id}/copy/                                   POST
v1     analyses/{id}/data_files/                             GET?@common,model*,name~,status*
v2     analyses/{id}/data_files/                             GET?@common,model*,name~,run_mode*,status*
v1     analyses/{id}/generate_inputs/                        POST
v2     analyses/{id}/generate_inputs/                        POST?run_mode_override
v1,v2  analyses/{id}/input_file/                             GET
v1,v2  analyses/{id}/input_generation_traceback_file/        GET DELETE
v1,v2  analyses/{id}/lookup_errors_file/                     GET
v1,v2  analyses/{id}/lookup_success_file/                    GET
v1,v2  analyses/{id}/lookup_validation_file/                 GET
v1,v2  analyses/{id}/output_file/                            GET DELETE
v1     analyses/{id}/run/                                    POST
v2     analyses/{id}/run/                                    POST?run_mode_override
v1,v2  analyses/{id}/run_log_file/                           GET DELETE
v1,v2  analyses/{id}/run_progress/                           GET
v1,v2  analyses/{id}/run_traceback_file/                     GET DELETE
v1,v2  analyses/{id}/settings/                               GET POST DELETE
v1,v2  analyses/{id}/settings_file/                          GET POST DELETE
v1,v2  analyses/{id}/storage_links/                          GET
v1,v2  analyses/{id}/summary_levels_file/                    GET
v1,v2 data_files/ GET?@common,content_type~,file_category~,file_description~,filename~ POST
v1,v2  data_files/{id}/                                      GET PUT PATCH DELETE
v1,v2  data_files/{id}/content/                              GET POST DELETE
v1,v2  models/                                               GET?@common,model_id~,supplier_id~,version_id~ POST
v1,v2  models/{id}/                                          GET PUT PATCH DELETE
v1,v2  models/{id}/data_files/                               GET?@common,model_id~,supplier_id~,version_id~
v1,v2  models/{id}/settings/                                 GET POST DELETE
v1,v2  models/{id}/storage_links/                            GET
v1,v2  models/{id}/versions/                                 GET
v1,v2  models/{models_pk}/setting_templates/                 GET POST
v1,v2  models/{models_pk}/setting_templates/{id}/            GET PUT PATCH DELETE
v1,v2  models/{models_pk}/setting_templates/{id}/content/    GET POST DELETE
v1,v2  portfolios/                                           GET?@common,name~ POST
v1,v2  portfolios/{id}/                                      GET PUT PATCH DELETE
v1,v2  portfolios/{id}/accounts_file/                        GET?file_format POST?file_format DELETE?file_format
v1,v2  portfolios/{id}/create_analysis/                      POST
v1,v2  portfolios/{id}/currency_conversion_json/             GET POST DELETE
v1,v2  portfolios/{id}/location_file/                        GET?file_format POST?file_format DELETE?file_format
v1,v2  portfolios/{id}/reinsurance_info_file/                GET?file_format POST?file_format DELETE?file_format
v1,v2  portfolios/{id}/reinsurance_scope_file/               GET?file_format POST?file_format DELETE?file_format
v1,v2  portfolios/{id}/reporting_currency/                   GET POST DELETE
v1,v2  portfolios/{id}/storage_links/                        GET POST
v1,v2  portfolios/{id}/validate/                             GET POST
v2     analyses/combine/                                     POST
v2     analyses/{id}/chunking_configuration/                 GET POST
v2     analyses/{id}/generate_and_run/                       POST
v2     analyses/{id}/input_file_tar_extract/                 GET?filename
v2     analyses/{id}/input_file_tar_list/                    GET
v2     analyses/{id}/output_file_tar_extract/                GET?filename
v2     analyses/{id}/output_file_tar_list/                   GET
v2    analyses/{id}/sub_task_list/ GET?@common,model*,name~,run_mode*,status*,subtask_slug,subtask_status
v2     analysis-task-statuses/                               GET?@common,name~,queue_name~,slug~,status*,task_id~ POST
v2     analysis-task-statuses/{id}/                          GET PUT PATCH DELETE
v2     analysis-task-statuses/{id}/error_log/                GET DELETE
v2     analysis-task-statuses/{id}/output_log/               GET DELETE
v2     analysis-task-statuses/{id}/retry_log/                GET DELETE
v2     models/{id}/chunking_configuration/                   GET POST
v2     models/{id}/scaling_configuration/                    GET POST
v2     portfolios/{id}/errors_file/                          GET
v2     portfolios/{id}/exposure_run/                         GET POST
v2     portfolios/{id}/exposure_transform/                   POST
v2     queue-status/                                         GET
v2     queue/                                                GET
"""
TIMES: Final = [
    f"{time}{how}" for time in ("created", "modified") for how in ("", "__date", "__gt", "__gte", "__lt", "__lte")
]


def operations() -> dict[Key, frozenset[str]]:
    """Return the query parameters of each operation."""
    return {
        (method, f"/api/{'' if version == '-' else f'{version}/'}{path}"): frozenset(_parameters(given))
        for versions, path, *methods in map(str.split, TABLE.strip().splitlines())
        for version in versions.split(",")
        for method, _, given in (word.partition("?") for word in methods)
    }


def _parameters(given: str) -> Iterator[str]:
    for word in filter(None, given.split(",")):
        if word == "@common":
            yield from (*TIMES, "user")
        else:
            name = word.rstrip("~*")
            yield name
            yield from (f"{name}{suffix}" for mark, suffix in (("~", "__contains"), ("*", "__in")) if mark in word)
