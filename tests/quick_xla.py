"""XLA's options for tests that compile much and compute little: compiling takes less than half the time."""

OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}  # of jax.jit
FLAGS = " ".join(f"--{name}={str(value).lower()}" for name, value in OPTIONS.items())  # of $XLA_FLAGS
