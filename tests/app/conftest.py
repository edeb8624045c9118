"""The browser of the tests of the local page."""

from headless_browser import browser

__all__ = ["browser"]
