package cli

// completeWord as the first argument makes a command answer what may follow
// the rest: the completion scripts call it.
const completeWord = "__complete"

func (c *Command) complete(words []string) []string { return nil }
