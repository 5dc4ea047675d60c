"""The latent space of a variational autoencoder: which dimensions it uses, what they mean, where spectra fall."""
