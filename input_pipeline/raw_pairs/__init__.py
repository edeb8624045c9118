"""Raw pairs: SID's list files, crops that keep the phase of the filter array, and their source of examples."""
