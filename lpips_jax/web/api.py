"""The page for programs: endpoints of Gradio's REST interface and client, under the same limits."""

from lpips_jax.web.service import Service


def connect(service: Service) -> None:
  """Adds the endpoints; within a `gr.Blocks`."""
