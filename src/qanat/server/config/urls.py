"""All routes, under ``/api/`` and at the root alike: the stock client's default address has no prefix."""

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path
from django.views.generic import RedirectView

from qanat.server.api.base import documents

api = [
    path("", include("qanat.server.api.base.urls")),
    path("", include(documents.routes("base", "v1", "v2"))),
    path("v1/", include([*documents.routes("base", "v1"), path("", include("qanat.server.api.v1.urls"))])),
    path("v2/", include([*documents.routes("base", "v2"), path("", include("qanat.server.api.v2.urls"))])),
    path("workers/", include("qanat.server.api.workers.urls")),
]
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
