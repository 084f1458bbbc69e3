"""Who the providers are: data and its reader."""
