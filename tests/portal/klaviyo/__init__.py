"""Units of the Klaviyo library, against the sandbox over a real socket."""
