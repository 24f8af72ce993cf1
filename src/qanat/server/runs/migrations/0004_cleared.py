from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0003_stock_queues"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="cleared",
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("cleared", False)),
                fields=["finished"],
                name="run_to_be_cleared",
            ),
        ),
    ]
