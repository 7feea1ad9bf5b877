//! Every wrong setting is refused, by both its names, and no secret is shown.
