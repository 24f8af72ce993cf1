"""Routes without a version."""

from django.urls import path

from qanat.server.api.base import oidc, tokens, views

urlpatterns = [
    path("healthcheck/", views.Health.as_view()),
    path("healthcheck_connections/", views.Connections.as_view()),
    path("server_info/", views.ServerInfo.as_view()),
    path("oed_peril_codes/", views.PerilCodes.as_view()),
    path("access_token/", tokens.AccessToken.as_view()),
    path("refresh_token/", tokens.RefreshToken.as_view()),
    path("oidc/authorize/", oidc.Authorize.as_view()),
    path("oidc/callback/", oidc.Callback.as_view()),
    path("oidc/session_token/", oidc.SessionToken.as_view()),
    path("oidc/logout/", oidc.Logout.as_view()),
]
