"""Small loops beside the flow: each starts, ticks and stops alike."""
