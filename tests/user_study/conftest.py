"""The browser of the tests of the page."""

from headless_browser import browser

__all__ = ["browser"]
