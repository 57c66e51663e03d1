from .models import (
    Choice as Choice,
    Model as Model,
    network_choices as network_choices,
    newest_runs as newest_runs,
)
from .page import CSS as CSS, build as build
from .serving import quiet_gradio as quiet_gradio, serve as serve
