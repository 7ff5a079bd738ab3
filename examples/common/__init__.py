"""What programs and experiments share: flags, data, training, pictures, statistics."""
