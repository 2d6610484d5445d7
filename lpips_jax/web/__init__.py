"""The page: face and speech in, preview, dub, and the video out, in a browser; `app.py` serves it.

`service` does what a click asks for, and knows no Gradio; `line` runs one dub after another, `storage` holds uploads
and results, and `limits` what is accepted. `layout` arranges Gradio's components, `events` connects them to the
service, and `server` opens the page to browsers, `api` to programs. These and `theme` import Gradio, which is an extra:
only what serves a page imports them.
"""
