"""Compares a loss and its gradients with reference vectors."""

import jax
import jax.numpy as jnp


def check(reference, name, loss, *inputs, reduce=jnp.mean):
    """Checks the value and, where the reference has them, the gradients with respect to the named inputs."""
    arrays = [reference[i] for i in inputs]
    reference.check(name, reduce(loss(*arrays)))
    for position, i in enumerate(inputs):
        if f"{name}_grad_{i}" in set(reference.keys()):
            reference.check(f"{name}_grad_{i}", jax.grad(lambda *a: reduce(loss(*a)), argnums=position)(*arrays))
