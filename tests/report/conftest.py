"""The browser of the tests of report pages."""

from headless_browser import browser

__all__ = ["browser"]
