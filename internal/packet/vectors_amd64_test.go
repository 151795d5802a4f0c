package packet

import "testing"

// A processor without vectors makes the same packets and sums.
func TestWithoutVectors(t *testing.T) {
	defer func(had bool) { hasVectors = had }(hasVectors)
	hasVectors = false
	t.Run("runs", TestSegmentsRuns)
	t.Run("sums", TestSumAgainstRFC1071)
}
