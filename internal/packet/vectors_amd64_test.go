package packet

import "testing"

// Without vector instructions, packets and sums are the same.
func TestWithoutVectors(t *testing.T) {
	defer func(had bool) { hasVectors = had }(hasVectors)
	hasVectors = false
	t.Run("runs", TestSegmentsRuns)
	t.Run("sums", TestSumAgainstRFC1071)
}
