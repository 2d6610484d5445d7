"""From raw videos to prepared clips: layouts | cutting | judging | store, run by processes here or by a cluster."""
