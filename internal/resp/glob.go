package resp

// match tells whether s matches a pattern of Redis: * ? [a-z] [^a] and \ before any
// of them. It takes time in proportion to the product of the lengths at most.
func match(pattern, s []byte) bool {
	star, from := -1, 0 // where the last * is, and what it has taken up to
	p, i := 0, 0
	for i < len(s) {
		n, ok := 0, false
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, from = p, i
				p++
				continue
			}
			n, ok = matchOne(pattern[p:], s[i])
		}
		switch {
		case ok:
			p += n
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches one character against the element that p begins with, and says
// how long that is.
func matchOne(p []byte, c byte) (int, bool) {
	switch p[0] {
	case '?':
		return 1, true
	case '[':
		return matchClass(p, c)
	case '\\':
		if len(p) > 1 {
			return 2, p[1] == c
		}
	}
	return 1, p[0] == c
}

func matchClass(p []byte, c byte) (int, bool) {
	i := 1
	not := i < len(p) && p[i] == '^'
	if not {
		i++
	}
	found := false
	for ; i < len(p) && p[i] != ']'; i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			found = found || p[i] == c
		case i+2 < len(p) && p[i+1] == '-':
			lo, hi := min(p[i], p[i+2]), max(p[i], p[i+2])
			found = found || lo <= c && c <= hi
			i += 2
		default:
			found = found || p[i] == c
		}
	}
	return min(i+1, len(p)), found != not
}

// literalPrefix is what every match begins with.
func literalPrefix(pattern []byte) []byte {
	for i, c := range pattern {
		switch c {
		case '*', '?', '[', '\\':
			return pattern[:i]
		}
	}
	return pattern
}
