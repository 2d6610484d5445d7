"""Twins of JAX's and Flax's own operations, with gradients written by hand so that training takes less time and memory.

Each equals its counterpart to rounding, in value and gradient (`tests/layers`): swap the import and nothing else
changes. Only where several elements hold a maximum do `amax` and `max_pool` share the gradient out otherwise.

  activations     relu, leaky_relu   nn.relu, nn.leaky_relu
  fourier         rfft2, irfft2      jnp.fft.rfft2, irfft2 with norm='ortho'; real and imaginary parts are channels
  maximum         amax               jnp.max(keepdims=True)
  normalisation   BatchNorm          nn.BatchNorm, with nn.relu after it if asked for
                  instance_norm      nn.InstanceNorm(use_scale=False, use_bias=False)
  padding         reflect_pad        jnp.pad(mode='reflect') by one pixel
  pooling         max_pool           nn.max_pool over 2x2 pixels
  subpixel        SubpixelConv       nn.Conv(use_bias=False), for very few channels
  transposed      TransposedConv     nn.ConvTranspose(use_bias=False), 3x3 and stride 2
  winograd        convolve           lax.conv_general_dilated, 3x3, for inference on CPUs

`precision` says which numbers are too short to be computed with, `shapes` names shapes and types.
"""
