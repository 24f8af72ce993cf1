"""Routes without a version."""

from django.urls import path

from qanat.server.api.base import views

urlpatterns = [
    path("healthcheck/", views.Health.as_view()),
    path("healthcheck_connections/", views.Connections.as_view()),
    path("server_info/", views.ServerInfo.as_view()),
    path("oed_peril_codes/", views.PerilCodes.as_view()),
    path("access_token/", views.AccessToken.as_view()),
    path("refresh_token/", views.RefreshToken.as_view()),
]
