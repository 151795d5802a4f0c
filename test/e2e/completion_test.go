package e2e

import (
	"os"
	"strings"
	"testing"

	"wgd/test/lab"
)

// completions are what is typed before the tabulator key, and what it becomes.
var completions = map[string]string{
	"wgd chec":                            "wgd check",
	"wgd up offi":                         "wgd up office",
	"wgd up /run/fil":                     "wgd up /run/file.conf",
	"wgd explain tunnel7 lap":             "wgd explain tunnel7 laptop",
	"wgd reload offi":                     "wgd reload office",
	"wgd import --outp":                   "wgd import --output=",
	"wgd import --output=/run/fold":       "wgd import --output=/run/folder/",
	"wgconfig tunn":                       "wgconfig tunnel7",
	"wgconfig tunnel7 show peer lap":      "wgconfig tunnel7 show peer laptop",
	"wgconfig tunnel7 sysctl net.wg.forc": "wgconfig tunnel7 sysctl net.wg.force_underload",
	"wg-ifconfig tunnel7 create mt":       "wg-ifconfig tunnel7 create mtu",
	"wg-keygen --ps":                      "wg-keygen --psk",
}

// bashCompletes, zshCompletes and fishCompletes write what each line of /run/typed
// becomes to /run/completed. In bash and zsh, a key after the tabulator writes it.
const (
	bashCompletes = `
cat >/run/rc <<'END'
for c in wgd wgconfig wg-ifconfig wg-keygen; do eval "$($c completion bash)"; done
report() { echo "$READLINE_LINE" >>/run/completed; READLINE_LINE=; READLINE_POINT=0; }
bind -x '"\C-t": report' 2>/dev/null
bind 'set show-all-if-ambiguous on' 2>/dev/null
END
while read -r line; do printf '%s\t\024' "$line"; done </run/typed >/run/keys
bash --noprofile --rcfile /run/rc -i </run/keys`

	zshCompletes = `
mkdir -p /run/functions
for c in wgd wgconfig wg-ifconfig wg-keygen; do $c completion zsh >/run/functions/_$c; done
cat >/run/rc <<'END'
fpath=(/run/functions $fpath)
autoload -Uz compinit && compinit -u -D
report() { print -r -- "$BUFFER" >>/run/completed; BUFFER= }
zle -N report
bindkey '^I' expand-or-complete '^T' report
END
cat >/run/drive <<'END'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'source /run/rc; : >/run/completed'
until [[ -e /run/completed ]]; do sleep 0.05; done
integer want=0
while read -r line; do
    want+=1
    zpty -w -n shell "$line"$'\t\x14'
    until (( $(wc -l </run/completed) >= want )); do zpty -r -t shell ignored; sleep 0.05; done
done </run/typed
zpty -d shell
END
zsh -f /run/drive`

	fishCompletes = `
cat >/run/drive <<'END'
for c in wgd wgconfig wg-ifconfig wg-keygen
    $c completion fish | source
end
while read -l line
    set -l found (complete -C "$line" | string replace -r '\t.*' '')
    echo (string replace -r '[^ ]*$' '' -- $line)$found
end </run/typed >/run/completed
END
HOME=/run fish --no-config /run/drive`
)

// In the real shells, completion offers subcommands, options, files, the names of the
// files in /etc/wireguard, interfaces and peers.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	for shell, script := range map[string]string{"bash": bashCompletes, "zsh": zshCompletes, "fish": fishCompletes} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			if missing := lab.Missing(shell); missing != "" {
				if os.Getenv("CI") == "true" {
					t.Fatal(missing)
				}
				t.Skipf("NOT TESTED: completion in %s: there is no %s", shell, missing)
			}
			h := lab.NewHost(t, "A")
			_, public := keyPair(h)
			h.Must("wgd tunnel7 && wgconfig tunnel7 add peer laptop %s", public)
			h.Write("/etc/wireguard/office.conf", "")
			h.Must("mkdir /run/folder && touch /run/file.conf")
			var typed, want []string
			for before, after := range completions {
				typed, want = append(typed, before), append(want, after)
			}
			h.Write("/run/typed", strings.Join(typed, "\n")+"\n")
			r := h.Run(script)
			got := strings.Split(h.Must("cat /run/completed"), "\n")
			for i := range want {
				if i >= len(got) || strings.TrimRight(got[i], " ") != want[i] {
					t.Errorf("%q becomes %q, want %q", typed[i], got[min(i, len(got)-1)], want[i])
				}
			}
			if t.Failed() {
				t.Logf("exit status %d\n%s\n%s", r.Code, r.Out, r.Err)
			}
		})
	}
}
