import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def take_over_priorities(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Give the steps that are not done the priority of their run."""
    run = apps.get_model("runs", "Run")
    priority = run.objects.filter(pk=models.OuterRef("run_id")).values("priority")
    unfinished = apps.get_model("runs", "Step").objects.filter(state__in=["waiting", "ready", "sent", "running"])
    unfinished.update(priority=models.Subquery(priority))


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0004_cleared"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="step",
            name="step_by_state_and_queue",
        ),
        migrations.RemoveIndex(
            model_name="step",
            name="step_by_lease",
        ),
        migrations.AddField(
            model_name="step",
            name="priority",
            field=models.PositiveSmallIntegerField(default=4),
        ),
        migrations.AlterField(
            model_name="step",
            name="run",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="steps", to="runs.run"
            ),
        ),
        migrations.AlterField(
            model_name="stepedge",
            name="parent",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="child_edges", to="runs.step"
            ),
        ),
        migrations.RunPython(take_over_priorities, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="step",
            index=models.Index(
                condition=models.Q(("state", "ready")),
                fields=["queue", "-priority", "run", "position"],
                name="step_by_urgency",
            ),
        ),
        migrations.AddIndex(
            model_name="step",
            index=models.Index(
                condition=models.Q(("state__in", ("waiting", "ready", "sent", "running"))),
                fields=["state", "queue"],
                name="step_unfinished",
            ),
        ),
        migrations.AddIndex(
            model_name="step",
            index=models.Index(condition=models.Q(("state", "running")), fields=["lease_until"], name="step_by_lease"),
        ),
    ]
