"""Items scored by a model: prompts, frames as tokens, batches, visual features, the one loop."""
