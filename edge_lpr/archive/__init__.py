"""Archives: pictures by the million and hours of video, read by many processes, into a Parquet data set.

Ray distributes the work; what is ours is how an archive is cut into units (`planning`, `cuts`), what becomes
of one (`pictures`, `segments`, `passages`), and how that is committed (`store`). Imported by `edge-lpr
archive` alone: Ray, pyarrow and fsspec come with the extra `scale`.
"""
