"""From a data set's tree to a manifest of face crops: plan, workers, engine."""
