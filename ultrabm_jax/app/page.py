"""The layout of the page, and which function each control calls.

One image is restored at a time; further clicks wait in Gradio's queue. Exposure, sample and format are applied to the
kept result of the session, also while the network restores the image of another one; of the kept results, one at a time
is in memory.
"""

from __future__ import annotations

import html
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from ultrabm_jax.app.models import Models, default_model
from ultrabm_jax.app.restoring import (
    DOWNLOADS,
    MAX_SAMPLES,
    Result,
    Settings,
    input_kind,
    write_download,
    write_preview,
)
from ultrabm_jax.app.session import result_of, session_folder, written
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.formats import SUFFIXES
from ultrabm_jax.logging import logger
from ultrabm_jax.raw import CAMERA_SUFFIXES

KEPT_RESULTS = "kept results"  # the queue of what is applied to them
CLEANING = (3600, 24 * 3600)  # seconds: how often Gradio deletes its files, and of which age
CSS = """
.gradio-container {max-width: 1500px !important; margin: auto}
.error {color: var(--error-text-color, #b91c1c); font-weight: 600}
#facts {font-size: var(--text-sm); color: var(--body-text-color-subdued)}
.message {min-height: 1.5em; overflow-wrap: anywhere}
"""
FAILED = "the image could not be restored; the terminal shows why"

Update = Any  # of a control; Gradio has no types


def make_page(models: Models, folder: Path) -> gr.Blocks:
    """The page. `folder` holds the last result of each session."""
    first = default_model()
    with gr.Blocks(title="ultrabm_jax", analytics_enabled=False, delete_cache=CLEANING) as page:
        gr.Markdown("## Restore a dark photo\nFiles stay on the machine that serves this page.")
        result = gr.State(None)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                upload = gr.File(
                    label="Photo or camera raw file", file_types=sorted(SUFFIXES | CAMERA_SUFFIXES), elem_id="upload"
                )
                model = gr.Dropdown(models.names, value=first, label="Model", filterable=False, elem_id="model")
                facts = gr.Markdown(models.describe(first), elem_id="facts")
                stops = gr.Slider(-3, 3, value=0, step=0.25, label="Exposure (stops)", elem_id="stops")
                stops.info = "Of the restored photo, in linear light; 0 is off. Applied at once."
                m = gr.Slider(0, 20, value=0, step=0.5, label="Brightness m", visible=False, elem_id="m")
                m.info = "0 is automatic, which equals 5 for a dark file."
                temperature = gr.Slider(0, 1, value=0, step=0.05, label="Temperature", visible=False)
                temperature.info = "0 gives the most likely restoration."
                samples = gr.Slider(1, MAX_SAMPLES, value=1, step=1, label="Samples", visible=False)
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, visible=False)
                button = gr.Button("Restore", variant="primary", elem_id="restore")
            with gr.Column(scale=3, min_width=400):
                message = gr.HTML("", elem_id="message")
                compared = gr.ImageSlider(
                    label="Before and after",
                    show_label=False,
                    buttons=["fullscreen"],
                    max_height=720,
                    interactive=False,
                    elem_id="compared",
                )
                sample = gr.Radio([], label="Sample", visible=False, elem_id="sample")
                with gr.Row():
                    kind = gr.Radio(
                        list(DOWNLOADS), value=next(iter(DOWNLOADS)), label="Format", scale=2, elem_id="format"
                    )
                    download = gr.DownloadButton("Download", interactive=False, scale=1, elem_id="download")
        settings = [m, temperature, samples, seed]

        def describe(name: str) -> list[Update]:
            raw, sampled = models.input_kind(name) == "mosaic", models.can_sample(name)
            shown = (not raw, raw, sampled, sampled, sampled)
            return [models.describe(name), *(gr.update(visible=visible) for visible in shown)]

        def choose(path: str | None, name: str) -> str:
            return name if path is None else models.model_for(input_kind(Path(path)), name)

        def click(
            kept: Result | None,
            path: str | None,
            name: str,
            m: float,
            temperature: float,
            samples: float,
            seed: float | None,
            request: gr.Request,
            progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by its default)
        ) -> tuple[Update, ...]:
            session = session_folder(folder, request.session_hash)
            try:
                if path is None:
                    raise UserError("choose a photo or a camera raw file first")
                chosen = Settings(name, m, temperature, int(samples), int(seed or 0))
                progress(0.0, desc=f"restoring {Path(path).name}")
                with shown_lines(lambda line: progress(0.0, desc=line)):
                    made = result_of(models, Path(path), chosen, session, kept)
            except UserError as error:
                return None, failure(str(error)), gr.update(visible=False)
            except Exception:
                logger.exception("restoring failed")
                return None, failure(FAILED), gr.update(visible=False)
            if made is kept:
                return gr.skip(), gr.skip(), gr.skip()
            names = [str(k + 1) for k in range(len(made.arrays))]
            return made, gr.skip(), gr.update(choices=names, value=names[0], visible=len(names) > 1)

        def show(made: Result | None, number: str | None, stops: float) -> tuple[Update, ...]:
            if made is None:
                return gr.skip(), None, gr.update(value=None, label="Download", interactive=False)
            after = written(made, lambda: write_preview(made, sample_index(made, number), stops))
            if after is None:
                return gr.skip(), gr.skip(), gr.skip()
            return success(made.summary(stops)), (str(made.before), str(after)), gr.update(interactive=False)

        def write(made: Result | None, number: str | None, format: str, stops: float) -> Update:
            if made is None:
                return gr.skip()
            file = written(made, lambda: write_download(made, sample_index(made, number), format, stops))
            if file is None:
                return gr.skip()
            return gr.update(value=str(file), label=f"Download {file.name}", interactive=True)

        def leave(request: gr.Request) -> None:
            shutil.rmtree(session_folder(folder, request.session_hash), ignore_errors=True)

        options: dict[str, object] = {"show_progress": "hidden", "api_visibility": "private"}
        model.change(describe, model, [facts, stops, *settings], **options)
        upload.upload(choose, [upload, model], model, **options)
        restoring = button.click(
            click,
            [result, upload, model, *settings],
            [result, message, sample],
            concurrency_limit=1,
            show_progress_on=compared,
            api_visibility="private",
        )
        options |= {"concurrency_limit": 1, "concurrency_id": KEPT_RESULTS}
        shown = ([result, sample, stops], [message, compared, download])
        downloaded = ([result, sample, kind, stops], download)
        for event in (restoring.then, sample.input):
            event(show, *shown, **options).then(write, *downloaded, **options)
        stops.change(show, *shown, **options, trigger_mode="always_last").then(write, *downloaded, **options)
        kind.input(write, *downloaded, **options)
        page.unload(leave)
    return page


def sample_index(made: Result, number: str | None) -> int:
    """The sample that is shown, from 0; `number` may be that of an earlier result."""
    return min(int(number or 1), len(made.arrays)) - 1


def failure(text: str) -> str:
    """An error message in HTML."""
    return f'<p class="message error" role="alert">{html.escape(text)}</p>'


def success(text: str) -> str:
    """A message in HTML."""
    return f'<p class="message" role="status">{html.escape(text)}</p>'


class _LineHandler(logging.Handler):
    def __init__(self, show: Callable[[str], object]) -> None:
        super().__init__(logging.INFO)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        self._show(record.getMessage())


@contextmanager
def shown_lines(show: Callable[[str], object]) -> Iterator[None]:
    """Passes on the lines that the package's logger shows meanwhile, such as the progress of tiles."""
    handler = _LineHandler(show)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def launch(models: Models, folder: Path, *, host: str, port: int | None) -> gr.Blocks:
    """Serves the page in a thread and returns; the address is `.local_url`. Raises OSError if the port is taken."""
    gr.set_static_paths([folder])  # served from there instead of being copied for each exposure
    page = make_page(models, folder)
    page.queue(api_open=False)
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        prevent_thread_lock=True,
        inbrowser=False,
        quiet=True,
        footer_links=[],
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        ssr_mode=False,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=CSS,
    )
    return page
