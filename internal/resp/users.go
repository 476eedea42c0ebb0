package resp

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// User is who may do what, and where.
type User struct {
	Name    string
	Enabled bool
	NoPass  bool       // any password does
	Hashes  [][32]byte // SHA-256 of its passwords
	Tenants []uint32   // the first is where it begins
	All     bool       // every tenant
	rights  right
}

func (u *User) has(need right) bool { return u.rights&need == need }

func (u *User) first() uint32 {
	if len(u.Tenants) == 0 {
		return 0
	}
	return u.Tenants[0]
}

func (u *User) sees(tenant uint32) bool { return u.All || slices.Contains(u.Tenants, tenant) }

// accepts compares in a time that says nothing about where a password differs.
func (u *User) accepts(password []byte) bool {
	sum := sha256.Sum256(password)
	ok := 0
	for i := range u.Hashes {
		ok |= subtle.ConstantTimeCompare(sum[:], u.Hashes[i][:])
	}
	return u.Enabled && (u.NoPass || ok == 1)
}

// Users are all users. They can be replaced while clients are connected, who keep
// what they are until they authenticate again.
type Users struct {
	now atomic.Pointer[map[string]*User]
}

// Everybody lets every client do everything.
func Everybody() *Users {
	u := &Users{}
	u.now.Store(&map[string]*User{defaultUser: {Name: defaultUser, Enabled: true, NoPass: true, All: true, rights: rightRead | rightWrite | rightAdmin}})
	return u
}

// Password lets those do everything who know the password.
func Password(password string) *Users {
	u := Everybody()
	d := (*u.now.Load())[defaultUser]
	d.NoPass, d.Hashes = false, [][32]byte{sha256.Sum256([]byte(password))}
	return u
}

const defaultUser = "default"

// ParseUsers reads users, one a line; blank lines and those with # in front are
// left out.
//
//	user NAME on|off [nopass] [#SHA256HEX]... [>PASSWORD]... [tenants=0,7|tenants=*] [+read] [+write] [+admin]
//
// Without tenants= a user has tenant 0. User default is who a client is before AUTH;
// when there is none, or it has a password, AUTH must come first.
func ParseUsers(text []byte) (*Users, error) {
	all := make(map[string]*User)
	sc := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		u, err := parseUser(strings.Fields(line))
		if err == nil && all[u.Name] != nil {
			err = fmt.Errorf("user %s is there twice", u.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all[u.Name] = u
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there are no users; want lines like: user alice on #SHA256 tenants=0 +read +write")
	}
	u := &Users{}
	u.now.Store(&all)
	return u, nil
}

func parseUser(words []string) (*User, error) {
	if len(words) < 3 || words[0] != "user" {
		return nil, fmt.Errorf("a line is: user NAME on|off and more words")
	}
	u := &User{Name: words[1]}
	for _, w := range words[2:] {
		if err := u.parseWord(w); err != nil {
			return nil, fmt.Errorf("user %s: %w", u.Name, err)
		}
	}
	if u.Tenants == nil && !u.All {
		u.Tenants = []uint32{0}
	}
	return u, nil
}

func (u *User) parseWord(w string) error {
	rest, isTenants := strings.CutPrefix(w, "tenants=")
	switch {
	case w == "on", w == "off":
		u.Enabled = w == "on"
	case w == "nopass":
		u.NoPass = true
	case w == "+read":
		u.rights |= rightRead
	case w == "+write":
		u.rights |= rightWrite
	case w == "+admin":
		u.rights |= rightAdmin
	case w[0] == '>':
		u.Hashes = append(u.Hashes, sha256.Sum256([]byte(w[1:])))
	case w[0] == '#':
		sum, err := hex.DecodeString(w[1:])
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("a word that begins with # is not the 64 hex digits of a SHA-256") // not its text: it may be a password
		}
		u.Hashes = append(u.Hashes, [32]byte(sum))
	case isTenants && rest == "*":
		u.All = true
	case isTenants:
		for t := range strings.SplitSeq(rest, ",") {
			n, err := strconv.ParseUint(t, 10, 32)
			if err != nil {
				return fmt.Errorf("tenant %q is not a number below 2^32", t)
			}
			u.Tenants = append(u.Tenants, uint32(n))
		}
	default:
		return fmt.Errorf("a word is none of on, off, nopass, #HASH, >PASSWORD, tenants=, +read, +write, +admin")
	}
	return nil
}

// Replace takes another set of users over.
func (u *Users) Replace(by *Users) { u.now.Store(by.now.Load()) }

// Default is who a client is that has not authenticated; nil: nobody.
func (u *Users) Default() *User {
	if d := (*u.now.Load())[defaultUser]; d != nil && d.Enabled && d.NoPass {
		return d
	}
	return nil
}

// find is the user with that name and password, or nil. An unknown name takes as
// long as a wrong password.
func (u *Users) find(name string, password []byte) *User {
	known := (*u.now.Load())[name]
	if known == nil {
		_ = (&User{Hashes: make([][32]byte, 1)}).accepts(password)
		return nil
	}
	if !known.accepts(password) {
		return nil
	}
	return known
}

// needsPassword tells whether AUTH with a password only makes sense.
func (u *Users) needsPassword() bool {
	d := (*u.now.Load())[defaultUser]
	return d != nil && !d.NoPass
}
