"""Every precision of a bundle set against FP32."""
