"""Where seismic data and networks meet: one file a task."""
