package cli

import "strings"

// nearest gives the candidate that is closest to word by edit distance, or ""
// when none is close enough to be a typing error.
func nearest(word string, candidates []string) string {
	best, found := 1+max(1, len(word)/3), ""
	for _, c := range candidates {
		if d := distance(word, c); d < best {
			best, found = d, c
		}
	}
	return found
}

// distance is the number of bytes to insert, delete, replace or swap with
// their neighbour to get from a to b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// Plural writes a number with its noun: "no keys", "1 entry", "3,000 keys".
func Plural[T ~int | ~int64 | ~uint64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "ry"); ok { // entry, not key
		noun = stem + "rie"
	}
	if n == 0 {
		return "no " + noun + "s"
	}
	return FormatCount(n) + " " + noun + "s"
}
