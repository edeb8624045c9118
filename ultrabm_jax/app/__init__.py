"""The local page: `ultrabm-jax app`.

models.py       the models that the page offers
restoring.py    what the network computes for an upload, and the previews and downloads of its result
session.py      which result of a session is kept
page.py         the layout, and which function each control calls
"""
