"""The local page: `ultrabm-jax app`.

models.py       the models that the page offers
restoring.py    what a click on "Restore" computes and writes; knows nothing of Gradio
page.py         the layout, and which function each control calls
"""
