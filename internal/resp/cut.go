package resp

// plainArgs is the most arguments of a plain request.
const plainArgs = 1024

// cut finds the first request in p, where it is of the plain kind: an array of
// strings that needs no limit checked. n is its length in bytes, and args, which
// reuses dst, lies in p. n is 0 when it is not there as a whole, and -1 when
// [requestReader] must look at it.
func cut(p []byte, dst [][]byte) (n int, args [][]byte) {
	if len(p) == 0 {
		return 0, nil
	}
	if p[0] != '*' {
		return -1, nil
	}
	count, at := header(p, 1)
	if at <= 0 {
		return at, nil
	}
	if count == 0 || count > plainArgs {
		return -1, nil
	}
	args = dst[:0]
	for range count {
		if at == len(p) {
			return 0, nil
		}
		if p[at] != '$' {
			return -1, nil
		}
		size, from := header(p, at+1)
		if from <= 0 {
			return from, nil
		}
		to := from + size
		if to+2 > len(p) {
			return 0, nil
		}
		if p[to] != '\r' || p[to+1] != '\n' {
			return -1, nil
		}
		args = append(args, p[from:to:to])
		at = to + 2
	}
	return at, args
}

// header reads the number of up to seven digits at p[at:] with the end of its line.
// next is where the next line begins, 0 or -1 as cut has it.
func header(p []byte, at int) (n, next int) {
	const digitsMax = 7
	for i := at; i < len(p); i++ {
		switch ch := p[i]; {
		case ch >= '0' && ch <= '9' && i-at < digitsMax:
			n = n*10 + int(ch-'0')
		case ch == '\r' && i > at:
			if i+1 == len(p) {
				return 0, 0
			}
			if p[i+1] != '\n' {
				return 0, -1
			}
			return n, i + 2
		default:
			return 0, -1
		}
	}
	return 0, 0
}
