"""A bundle, its weights and its graphs on a device."""
