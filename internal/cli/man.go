package cli

// ManPage is the command's manual page, in roff with the man macros.
func ManPage(c *Command) []byte { return nil }
