package key_test

import (
	"crypto/rand"
	"fmt"
	"log"

	"wgd/key"
)

// Secret keys print as "(hidden)", also in logs and in structs. Base64 returns the
// text that files and wg(8) use.
func Example() {
	private, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(private)

	same, err := key.ParsePrivate(private.Base64())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(same.Equal(private), same.Public() == private.Public())
	private.Erase()
	fmt.Println(private.IsZero(), same.IsZero())
	// Output:
	// (hidden)
	// true true
	// true false
}
