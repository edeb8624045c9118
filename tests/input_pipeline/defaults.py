"""A config file of default values alone, for commands that take --config."""

from ultrabm_jax.config import default_config as get_config

__all__ = ["get_config"]
