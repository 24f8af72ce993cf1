import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("files", "0002_archiveindex"),
    ]

    operations = [
        migrations.CreateModel(
            name="Unsettled",
            fields=[
                ("key", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("since", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
        ),
    ]
