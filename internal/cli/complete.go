package cli

import "strings"

// completeWord as the first argument makes a command print the words that may
// complete the others. The completion scripts use it. The last argument is the
// word that is being typed.
const completeWord = "__complete"

// shells is the choice in the syntax of the form completion.
const shells = "bash|zsh|fish"

// completionForm is a form that every command has.
var completionForm = Form{
	Syntax:  "completion " + shells,
	Summary: "print a completion script for a shell",
	Example: "COMMAND completion bash > /usr/share/bash-completion/completions/COMMAND",
	Text: []string{"Bash reads the script from /usr/share/bash-completion/completions/COMMAND, " +
		"zsh from the file _COMMAND in a directory of $fpath, " +
		"and fish from ~/.config/fish/completions/COMMAND.fish, where COMMAND is the name of the command."},
	Run: func(c *Call) error {
		name := c.Command.Name
		script := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Arg(shells)]
		function := "_" + strings.ReplaceAll(name, "-", "_") + "_complete"
		return write(c.Stdout, strings.NewReplacer("COMMAND", name, "FUNCTION", function).Replace(script))
	},
}

// complete returns the possible completions of the last word.
func (c *Command) complete(words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	before, partial := words[:len(words)-1], words[len(words)-1]
	if found, isValue := c.completeValue(before, partial); isValue {
		return found
	}
	before = c.withoutSteps(c.withoutOptions(before))
	var found []string
	for _, form := range c.forms() {
		next, fits := nextWords(parseSyntax(form.Syntax), before)
		if !fits || form.Hidden {
			continue
		}
		for _, w := range next {
			found = append(found, c.candidates(w, before)...)
		}
		if strings.HasPrefix(partial, "-") {
			for _, o := range c.optionsOf(form) {
				found = append(found, o.completion())
			}
		}
	}
	if strings.HasPrefix(partial, "-") {
		found = append(found, "--help", "--version")
	}
	return withPrefix(partial, found)
}

// completion returns the option as the shell should complete it.
func (o Option) completion() string {
	if o.Long == "" {
		return "-" + string(o.Short)
	}
	if o.Value != "" {
		return "--" + o.Long + "="
	}
	return "--" + o.Long
}

// completeValue completes the value of an option, if the last word is one. Bash
// splits words at the equals sign.
func (c *Command) completeValue(before []string, partial string) (found []string, isValue bool) {
	if n := len(before); n > 1 && before[n-1] == "=" {
		before = before[:n-1]
	}
	name, rest, joined := strings.Cut(partial, "=")
	switch {
	case joined && strings.HasPrefix(name, "--"):
		partial = rest
	case len(before) == 0:
		return nil, false
	default:
		name = before[len(before)-1]
	}
	option, known := c.option(name)
	if !known || option.Value == "" {
		return nil, false
	}
	if offer := c.Complete[option.Value]; offer != nil {
		return withPrefix(strings.TrimPrefix(partial, "="), offer(c.withoutOptions(before))), true
	}
	return nil, true
}

// withoutOptions returns the typed words without the options.
func (c *Command) withoutOptions(typed []string) []string {
	words, _, _, err := c.split(typed)
	if err != nil {
		return nil
	}
	return words
}

// withoutSteps removes the steps that are complete, after which the next may follow.
func (c *Command) withoutSteps(words []string) []string {
	if c.Steps == nil || len(words) < 2 {
		return words
	}
	for rest := words[1:]; len(rest) > 0; {
		step, _, best := c.longestStep(rest)
		if step == nil {
			return append(words[:1:1], rest...)
		}
		rest = rest[best.used:]
	}
	return words[:1]
}

// candidates returns the words that may be typed for a word of a syntax.
func (c *Command) candidates(w word, before []string) []string {
	if w.literal {
		return strings.Split(w.text, "|")
	}
	if offer := c.Complete[w.text]; offer != nil {
		return offer(before)
	}
	return nil
}

// nextWords returns the words of the syntax that may follow the typed ones.
func nextWords(syntax []word, typed []string) (next []word, fits bool) {
	for len(syntax) > 0 && syntax[0].marker {
		syntax = syntax[1:]
	}
	if len(syntax) == 0 {
		return nil, len(typed) == 0
	}
	w := syntax[0]
	if w.opens {
		next, fits = nextWords(afterBrackets(syntax), typed)
	}
	switch {
	case len(typed) == 0:
		return append(next, w), true
	case !w.is(typed[0]):
		return next, fits
	}
	rest := syntax[1:]
	if w.repeat {
		rest = append([]word{{text: w.text, literal: w.literal, repeat: true, opens: true, closes: true}}, rest...)
	}
	more, fitsMore := nextWords(rest, typed[1:])
	return append(next, more...), fits || fitsMore
}

// withPrefix returns the words with the prefix, each once. FilesHere has every prefix,
// except for that of options.
func withPrefix(partial string, words []string) []string {
	var kept []string
	seen := map[string]bool{}
	for _, w := range words {
		if (w == FilesHere && !strings.HasPrefix(partial, "-") || strings.HasPrefix(w, partial)) && !seen[w] {
			seen[w] = true
			kept = append(kept, w)
		}
	}
	return kept
}

const bashScript = `# bash completion for COMMAND
FUNCTION() {
    local IFS=$'\n' word=${COMP_WORDS[COMP_CWORD]#=} one
    COMPREPLY=()
    for one in $(COMMAND __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null); do
        if [[ $one == :files ]]; then
            compopt -o filenames
            COMPREPLY+=($(compgen -f -- "$word"))
        else
            [[ $one == *= ]] && compopt -o nospace
            COMPREPLY+=("$one")
        fi
    done
}
complete -F FUNCTION COMMAND
`

// If zsh loads the file at the first completion, it calls it as _COMMAND.
const zshScript = `#compdef COMMAND
FUNCTION() {
    local -a found
    found=(${(f)"$(COMMAND __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    compset -P '--*='
    (( ${found[(Ie):files]} )) && _files
    found=(${found:#:files})
    compadd -S '' -- ${(M)found:#*=}
    compadd -- ${found:#*=}
}
if [[ $funcstack[1] == _COMMAND ]]; then
    FUNCTION "$@"
else
    compdef FUNCTION COMMAND
fi
`

// Fish compares each line with the whole word, also that of an option with its value.
const fishScript = `# fish completion for COMMAND
function FUNCTION
    set -l typed (commandline -opc) (commandline -ct)
    set -l option (string match -r -- '^--[^=]*=' $typed[-1])
    for one in (COMMAND __complete $typed[2..-1] 2>/dev/null)
        if test "$one" = :files
            for file in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $typed[-1]))
                echo "$option$file"
            end
        else
            echo "$option$one"
        end
    end
end
complete -c COMMAND -f -a '(FUNCTION)'
`
