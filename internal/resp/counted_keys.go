package resp

// countedKey says how a command that is told the number of its keys refuses a wrong
// one.
type countedKey struct {
	notNumber, zero, tooMany error
	behind                   int // arguments that must follow the keys
}

const errFewKeys = redisError("ERR numkeys should be greater than 0")

var (
	popKeys  = countedKey{errFewKeys, errFewKeys, errSyntax, 1}
	cardKeys = countedKey{errFewKeys, errFewKeys, redisError("ERR Number of keys can't be greater than number of args"), 0}
)

// of are the keys behind the number at args[at].
func (k countedKey) of(args [][]byte, at int) ([][]byte, error) {
	n, err := integers(args[at])
	left := int64(len(args) - at - 1)
	switch {
	case err != nil:
		return nil, k.notNumber
	case n[0] < 1:
		return nil, k.zero
	case n[0] > left-int64(k.behind):
		return nil, k.tooMany
	}
	return args[at+1 : at+1+int(n[0])], nil
}

// countedKeys finds the keys of a command, with those before their number.
func countedKeys(at int, k countedKey) func(args [][]byte) ([][]byte, error) {
	return func(args [][]byte) ([][]byte, error) {
		keys, err := k.of(args, at)
		if err != nil {
			return nil, err
		}
		if at == 1 {
			return keys, nil
		}
		return append(append([][]byte(nil), args[1:at]...), keys...), nil
	}
}
