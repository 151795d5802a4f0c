package archtest

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLibraryIsDocumented: in the rooms that other programs may import, every
// exported name and every method that they can call has a comment, and none of
// these comments cites a rule (rule 4 of style): readers of the documentation do
// not have the list.
func TestLibraryIsDocumented(t *testing.T) {
	for _, room := range library {
		var files []source
		for _, s := range tree(t) {
			if s.room() == room && !s.isTest() {
				files = append(files, s)
			}
		}
		if len(files) == 0 {
			t.Errorf("room %s has no files", room)
		}
		for _, fault := range documentationFaults(files) {
			t.Error(fault)
		}
	}
}

// A documented declaration is one that the documentation of a package shows.
type documented struct {
	at       string
	name     string
	comments []*ast.CommentGroup
	optional bool // it may be without a comment
}

var ruleCitation = regexp.MustCompile(`\b[AB][1-9]\d?\b|§`)

func documentationFaults(files []source) (faults []string) {
	embedded := embeddedTypes(files)
	for _, s := range files {
		for _, d := range documentedIn(s, embedded) {
			text := ""
			for _, c := range d.comments {
				text += c.Text()
			}
			if text == "" && !d.optional {
				faults = append(faults, d.at+": "+d.name+" has no comment")
			}
			if rule := ruleCitation.FindString(text); rule != "" {
				faults = append(faults, d.at+": the comment of "+d.name+" cites "+rule+", which users of the library cannot look up")
			}
		}
	}
	return faults
}

// documentedIn returns the exported declarations of a file. Methods of unexported
// types are documented if an exported type embeds the type.
func documentedIn(s source, embedded []string) (list []documented) {
	add := func(n ast.Node, id *ast.Ident, optional bool, comments ...*ast.CommentGroup) {
		if id.IsExported() {
			list = append(list, documented{s.line(n), id.Name, comments, optional})
		}
	}
	list = append(list, documented{s.path, "the package", []*ast.CommentGroup{s.file.Doc}, true})
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if r := receiverType(d); r == "" || ast.IsExported(r) || slices.Contains(embedded, r) {
				add(d, d.Name, false, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						add(spec, id, false, d.Doc, spec.Doc, spec.Comment)
					}
				case *ast.TypeSpec:
					add(spec, spec.Name, false, d.Doc, spec.Doc, spec.Comment)
					if spec.Name.IsExported() {
						list = append(list, membersOf(s, spec)...)
					}
				}
			}
		}
	}
	return list
}

// membersOf returns the exported methods of an interface, or the exported fields
// of a struct. The name of a field may say enough.
func membersOf(s source, spec *ast.TypeSpec) (list []documented) {
	var members *ast.FieldList
	optional := false
	switch t := spec.Type.(type) {
	case *ast.InterfaceType:
		members = t.Methods
	case *ast.StructType:
		members, optional = t.Fields, true
	default:
		return nil
	}
	for _, f := range members.List {
		for _, id := range f.Names {
			if id.IsExported() {
				list = append(list, documented{s.line(f), spec.Name.Name + "." + id.Name, []*ast.CommentGroup{f.Doc, f.Comment}, optional})
			}
		}
	}
	return list
}

// embeddedTypes returns the types of the room that its exported structs embed.
func embeddedTypes(files []source) (list []string) {
	for _, s := range files {
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Name.IsExported() {
				return true
			}
			if t, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range t.Fields.List {
					if len(f.Names) == 0 {
						list = append(list, nameOfType(f.Type))
					}
				}
			}
			return true
		})
	}
	return list
}

// receiverType returns the name of a method's type, or "" for a function.
func receiverType(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	return nameOfType(d.Recv.List[0].Type)
}

// nameOfType returns the name of a type or of what it points to, or "" if it is
// not a plain name.
func nameOfType(t ast.Expr) string {
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// TestUndocumentedNamesAreSeen: documentationFaults finds what it must.
func TestUndocumentedNamesAreSeen(t *testing.T) {
	for code, want := range map[string]int{
		"// F does.\nfunc F() {}":                                     0,
		"func F() {}":                                                 1,
		"func f() {}":                                                 0,
		"// F does (A46).\nfunc F() {}":                               1,
		"// F does (§6.1).\nfunc F() {}":                              1,
		"// F does.\nfunc F() { // A46\n}":                            0,
		"// f does (A46).\nfunc f() {}":                               0,
		"// T is.\ntype T int\nfunc (T) M() {}":                       1,
		"type t int\nfunc (t) M() {}":                                 0,
		"// T is.\ntype T struct{ *t }\ntype t int\nfunc (t) M() {}":  1,
		"// T is.\ntype T interface{ M() }":                           1,
		"// T is.\ntype T interface {\n\t// M does.\n\tM()\n}":        0,
		"// T is.\ntype T struct{ F int }":                            0,
		"// T is.\ntype T struct {\n\tF int // of B5\n}":              1,
		"// T is.\ntype T struct {\n\tf int // of B5\n}":              0,
		"const C = 1":                                                 1,
		"// The two.\nconst (\n\tC = 1\n\tD = 2\n)":                   0,
		"// The two.\nconst (\n\tC = 1 // A46\n\tD = 2\n)":            1,
		"// V is.\nvar V = 1":                                         0,
		"// C has A0 and A100, SHA1, B.\nconst C = 1":                 0,
		"// T is.\ntype T struct{}\n// M does.\nfunc (t *T) M() {}\n": 0,
	} {
		if faults := documentationFaults([]source{parse(t, "wg/a.go", "package wg\n\n"+code)}); len(faults) != want {
			t.Errorf("%s\nhas the faults %q, want %d", code, faults, want)
		}
	}
	const packageComment = "// Package wg is A1.\npackage wg\n"
	if faults := documentationFaults([]source{parse(t, "wg/a.go", packageComment)}); len(faults) != 1 {
		t.Errorf("%shas the faults %q, want 1", packageComment, faults)
	}
	if fault := strings.Join(documentationFaults([]source{parse(t, "wg/a.go", "package wg\n\nfunc F() {}")}), ""); fault != "wg/a.go:3: F has no comment" {
		t.Errorf("the fault is %q", fault)
	}
}
