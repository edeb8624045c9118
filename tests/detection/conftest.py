from tests.report.conftest import browser  # noqa: F401, the fixture
