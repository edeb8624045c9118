"""Data in object stores: folders of a bucket are copied to a local disk, and the copies are read like any folder.

Loaders read by offset, memory map and name, which stores do not offer. `local_data` replaces the URLs in config.data;
it is the only place that knows of them.
"""

from input_pipeline.object_stores.config_paths import local_data
from input_pipeline.object_stores.local_copy import data_cache_folder, local_folder

__all__ = ["data_cache_folder", "local_data", "local_folder"]
