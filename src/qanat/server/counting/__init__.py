"""What happens in this process, counted for Prometheus; it knows neither Django nor any table."""
