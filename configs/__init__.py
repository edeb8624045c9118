"""One file per experiment; ultrabm_jax/config documents every field."""
