"""All routes, under ``/api/`` and at the root alike: the stock client's default address has no prefix."""

from django.urls import include, path

api = [
    path("", include("qanat.server.api.base.urls")),
    path("v1/", include("qanat.server.api.v1.urls")),
    path("v2/", include("qanat.server.api.v2.urls")),
    path("workers/", include("qanat.server.api.workers.urls")),
]
urlpatterns = [path("api/", include(api)), path("", include(api))]
