"""All routes, under ``/api/`` and at the root alike: the stock client's default address has no prefix."""

from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from qanat.server.api.base import documents


def api_routes(*versions: str) -> list[URLPattern | URLResolver]:
    """Return the routes of the API in some of its versions."""
    return [
        path("workers/", include("qanat.server.api.workers.urls")),  # asked most, so found first
        path("", include("qanat.server.api.base.urls")),
        path("", include(documents.routes("base", *versions))),
        *(
            path(
                f"{version}/",
                include([*documents.routes("base", version), path("", include(f"qanat.server.api.{version}.urls"))]),
            )
            for version in versions
        ),
    ]


api = api_routes("v1") if settings.QANAT.disable_v2_api else api_routes("v1", "v2")
pages = [
    path("api/admin/", admin.site.urls),
    path("api/auth/", include("rest_framework.urls")),
    # A few files of the pages above; a cluster's ingress may serve them instead.
    path("api/static/<path:path>", serve, {"insecure": True}),
    *(path(f"{page}/", RedirectView.as_view(url=f"/api/{page}/")) for page in ("admin", "auth/login", "auth/logout")),
]
base = [path("api/", include(api))]
root = [path("", include(api))]
urlpatterns = [*pages, *base, *root]
