"""Released networks that results are compared with: Zero-DCE and SCI."""
