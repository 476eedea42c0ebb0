// Package archivetest holds what tests of the archive share: Run, the suite
// that every archive.Store must pass, and Faulty, a store that fails in the
// ways that design allows for.
//
// The fault model: a store may refuse, hang, do what was asked and lose the
// answer, answer without having done it, cut a body short, flip a bit in it,
// and list late. It never changes an object that is there.
package archivetest
