//go:build !linux

package readable

// A Source reads what has arrived at a socket, of which it knows the length.
type Source struct{}

// SourceOf returns nil: this system has no Source.
func SourceOf(conn any) *Source { return nil }

func (s *Source) Wait() error                { return nil }
func (s *Source) Len() int                   { return 0 }
func (s *Source) Err() error                 { return nil }
func (s *Source) Read(b []byte) (int, error) { return 0, nil }
