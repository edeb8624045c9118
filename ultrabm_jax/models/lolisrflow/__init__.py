"""LoLiSRFlow (arXiv 2402.18871): conditional encoder, flow, likelihood."""
