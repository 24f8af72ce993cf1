"""Routes of the worker protocol, relative to the API's base."""

from django.urls import path

from qanat.server.api.workers import views

STEP = "steps/<int:step_id>"

urlpatterns = [
    path("hello/", views.Hello.as_view()),
    path(f"{STEP}/claim/", views.Claim.as_view()),
    path(f"{STEP}/heartbeat/", views.Heartbeat.as_view()),
    path(f"{STEP}/inputs/<path:label>/", views.Input.as_view()),
    path(f"{STEP}/outputs/<path:label>/", views.Output.as_view()),
    path(f"{STEP}/log/", views.Log.as_view()),
    path(f"{STEP}/commit/", views.Commit.as_view()),
    path(f"{STEP}/fail/", views.Fail.as_view()),
    path(f"{STEP}/release/", views.Release.as_view()),
]
