"""Training by a protocol's recipe on Lightning: sampling, augmentation, selection on validation data, resuming."""
