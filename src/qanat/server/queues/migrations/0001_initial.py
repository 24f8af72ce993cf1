from collections.abc import Callable

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# Only wakes: whoever misses it finds the rows at the next look. One notification a transaction, sent by its commit.
CREATE = """
CREATE FUNCTION qanat_tell_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('qanat_changes', '');
    RETURN NULL;
END $$;
CREATE TRIGGER qanat_tell_changes AFTER INSERT ON runs_event
    FOR EACH STATEMENT EXECUTE FUNCTION qanat_tell_changes();
CREATE TRIGGER qanat_tell_changes AFTER INSERT ON queues_tick
    FOR EACH STATEMENT EXECUTE FUNCTION qanat_tell_changes();
"""
DROP = """
DROP TRIGGER qanat_tell_changes ON queues_tick;
DROP TRIGGER qanat_tell_changes ON runs_event;
DROP FUNCTION qanat_tell_changes();
"""


def on_postgresql(statements: str) -> Callable[[Apps, BaseDatabaseSchemaEditor], None]:
    def execute(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor == "postgresql":
            editor.execute(statements)

    return execute


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("runs", "0002_internal_runs"),
    ]

    operations = [
        migrations.CreateModel(
            name="Tick",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.RunPython(on_postgresql(CREATE), on_postgresql(DROP)),
    ]
