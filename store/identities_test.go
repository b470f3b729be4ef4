package store_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/store"
)

// book is a store with members m-1, m-2 and m-3.
type book struct {
	*store.Store
	t   *testing.T
	url string
}

func newBook(t *testing.T) *book {
	t.Helper()
	url := devtest.Database(t)
	if _, err := store.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	b := &book{t: t, url: url}
	b.open("")
	if _, err := b.PutMembers(t.Context(), []store.MemberPut{{ID: "m-1"}, {ID: "m-2"}, {ID: "m-3"}}); err != nil {
		t.Fatal(err)
	}
	return b
}

// open opens the database once more, with these address keys.
func (b *book) open(keys string) {
	b.t.Helper()
	parsed, err := store.ParseAddressKeys(keys)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := store.Open(b.t.Context(), b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(s.Close)
	store.WithAddressKeys(s, parsed)
	b.Store = s
}

func (b *book) put(puts ...store.IdentityPut) {
	b.t.Helper()
	if err := b.PutIdentities(b.t.Context(), puts...); err != nil {
		b.t.Fatal(err)
	}
}

func mailOf(member, address string) store.IdentityPut {
	return store.IdentityPut{Member: member, Kind: campaign.IdentityMail, Address: address}
}

// says gives a member's identities in one line.
func (b *book) says(member string) string {
	b.t.Helper()
	list, err := b.Identities(b.t.Context(), member)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, i := range list {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", i.Kind, i.Account, i.Masked, i.State, i.Reason)))
	}
	return strings.Join(out, "; ")
}

func (b *book) id(member string) (id int64) {
	b.t.Helper()
	if err := b.Pool().QueryRow(b.t.Context(), "select id from identities where member = $1", member).Scan(&id); err != nil {
		b.t.Fatal(err)
	}
	return id
}

// dumped reports whether a text stands anywhere in the table.
func (b *book) dumped(text string) bool {
	b.t.Helper()
	var address, hash []byte
	rows, err := b.Pool().Query(b.t.Context(), "select address, hash from identities")
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&address, &hash); err != nil {
			b.t.Fatal(err)
		}
		if bytes.Contains(address, []byte(text)) {
			return true
		}
	}
	return false
}

const (
	keyA = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	keyB = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
)

func TestANoOutlivesTheAddress(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"", keyA} {
		b := newBook(t)
		b.open(keys)
		for _, step := range []struct {
			what string
			do   func()
			want string
		}{
			{"an address", func() { b.put(mailOf("m-1", "lin@example.com")) }, "mail  l***@example.com reachable"},
			{"the platform says that nobody is there", func() {
				b.put(store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityUnreachable, Reason: "bounced"})
			}, "mail  l***@example.com unreachable bounced"},
			{"the same address again", func() { b.put(mailOf("m-1", "LIN@example.com")) }, "mail  L***@example.com unreachable bounced"},
			{"a new address", func() { b.put(mailOf("m-1", "mei@example.com")) }, "mail  m***@example.com reachable"},
			{"she opts out", func() { b.optOut("m-1", true) }, "mail  m***@example.com opted_out one_click"},
			{"and again", func() { b.optOut("m-1", true) }, "mail  m***@example.com opted_out one_click"},
			{"a service mail bounces", func() {
				b.put(store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityUnreachable, Reason: "bounced"})
			}, "mail  m***@example.com opted_out one_click"},
			{"a new address", func() { b.put(mailOf("m-1", "lan@example.com")) }, "mail  l***@example.com opted_out one_click"},
			{"it is removed", func() { b.remove("m-1") }, "mail   opted_out one_click"},
			{"an import brings it back", func() { b.put(mailOf("m-1", "lan@example.com")) }, "mail  l***@example.com opted_out one_click"},
			{"she asks for it", func() {
				b.put(store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityReachable, Reason: "asked"})
			}, "mail  l***@example.com reachable asked"},
			{"it is removed", func() { b.remove("m-1") }, ""},
			{"only a no is known", func() {
				b.put(store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityOptedOut, Reason: "by telephone"})
			}, "mail   opted_out by telephone"},
			{"of one call the no outlives the bounce", func() {
				b.put(
					store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityReachable},
					store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityOptedOut, Reason: "by letter"},
					store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityUnreachable, Reason: "bounced"},
				)
			}, "mail   opted_out by letter"},
			{"and a yes what was known", func() {
				b.put(
					store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityUnreachable, Reason: "bounced"},
					store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityReachable, Reason: "asked"}, mailOf("m-1", "lin@example.com"),
				)
			}, "mail  l***@example.com reachable asked"},
			{"she is forgotten", func() {
				if err := b.EraseIdentities(t.Context(), "m-1"); err != nil {
					t.Fatal(err)
				}
			}, ""},
		} {
			if step.do(); b.says("m-1") != step.want {
				t.Fatalf("%s: %q, want %q", step.what, b.says("m-1"), step.want)
			}
		}
	}
}

func (b *book) optOut(member string, want bool) {
	b.t.Helper()
	if found, err := b.OptOut(b.t.Context(), b.id(member), "one_click"); err != nil || found != want {
		b.t.Fatalf("OptOut = %v, %v", found, err)
	}
}

func (b *book) remove(member string) {
	b.t.Helper()
	if err := b.RemoveIdentity(b.t.Context(), member, "mail", ""); err != nil {
		b.t.Fatal(err)
	}
}

func TestIdentitiesOfNobody(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	err := b.PutIdentities(t.Context(), mailOf("m-1", "lin@example.com"), mailOf("m-9", "x@example.com"))
	if campaign.CodeOf(err) != campaign.CodeNotFound || b.says("m-1") != "" {
		t.Errorf("%v; m-1 has %q", err, b.says("m-1"))
	}
	if err := b.RemoveIdentity(t.Context(), "m-1", "mail", ""); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("RemoveIdentity = %v", err)
	}
	if found, err := b.OptOut(t.Context(), 999, "x"); found || err != nil {
		t.Errorf("OptOut = %v, %v", found, err)
	}
}

func TestWhoHasAnAddress(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"", keyA} {
		b := newBook(t)
		b.open(keys)
		b.put(
			mailOf("m-1", "lin@example.com"), mailOf("m-2", "Lin@example.com"), mailOf("m-3", "mei@example.com"),
			store.IdentityPut{Member: "m-1", Kind: "openid", Account: "wx1", Address: "o-1"},
			store.IdentityPut{Member: "m-2", Kind: "openid", Account: "wx2", Address: "o-1"},
			mailOf("m-3", "lan@example.com"), // of an identity that is told twice the later counts
		)
		for _, c := range []struct {
			kind             campaign.IdentityKind
			account, address string
			want             []string
		}{
			{"mail", "", "LIN@example.com", []string{"m-1", "m-2"}},
			{"mail", "", "mei@example.com", []string{}},
			{"mail", "", "lan@example.com", []string{"m-3"}},
			{"openid", "wx1", "o-1", []string{"m-1"}},
			{"openid", "", "o-1", []string{}},
		} {
			got, err := b.MembersOf(t.Context(), c.kind, c.account, c.address)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s %s %s: %v, %v; want %v", c.kind, c.account, c.address, got, err, c.want)
			}
		}
		if b.dumped("lin@") != (keys == "") {
			t.Errorf("with the keys %q the table shows an address: %v", keys, b.dumped("lin@"))
		}
	}
}

// TestAddressKeys goes through the life of a key: addresses that were stored before there
// was one, a change of the key, and a key that is wrong or lost.
func TestAddressKeys(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.put(mailOf("m-1", "lin@example.com"))
	b.open(keyA)
	b.put(mailOf("m-2", "mei@example.com"))
	if !b.dumped("lin@") || b.dumped("mei@") {
		t.Fatal("a key seals what is stored from then on")
	}
	for range 2 {
		if err := b.SealAddresses(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if b.dumped("lin@") {
		t.Fatal("what was stored before is not sealed")
	}
	whole := func(what string) {
		t.Helper()
		for member, want := range map[string]string{"m-1": "mail  l***@example.com reachable", "m-2": "mail  m***@example.com reachable"} {
			if got := b.says(member); got != want {
				t.Errorf("%s: %s has %q", what, member, got)
			}
		}
		if got, err := b.MembersOf(t.Context(), "mail", "", "lin@example.com"); err != nil || !slices.Equal(got, []string{"m-1"}) {
			t.Errorf("%s: found %v, %v", what, got, err)
		}
	}
	whole("the first key")
	// A key is changed while programs that were started before go on and start again.
	for _, keys := range []string{keyA + "," + keyB, keyA, keyA + "," + keyB, keyB + "," + keyA, keyA + "," + keyB, keyB + "," + keyA} {
		b.open(keys)
		whole("while it is changed")
	}
	b.open(keyB)
	whole("the new key alone")
	for name, keys := range map[string]string{"the old key": keyA, "no key": ""} {
		b.open(keys)
		if err := b.SealAddresses(t.Context()); campaign.CodeOf(err) != campaign.CodeUnavailable || !strings.Contains(err.Error(), "BANYAN_ADDRESS_KEY") {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.PutIdentities(t.Context(), mailOf("m-3", "lan@example.com")); err == nil {
			t.Errorf("%s: an address was stored all the same", name)
		}
		parsed, _ := store.ParseAddressKeys(keys)
		if sealed, err := b.OpensAddresses(t.Context(), parsed); !sealed || err == nil {
			t.Errorf("%s: OpensAddresses = %v, %v", name, sealed, err)
		}
	}
}

// A sealed address that somebody copies to another member does not open.
func TestASealedAddressIsBoundToItsMember(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.open(keyA)
	b.put(mailOf("m-1", "lin@example.com"), mailOf("m-2", "mei@example.com"))
	if _, err := b.Pool().Exec(t.Context(), "update identities set address = (select address from identities where member = 'm-1') where member = 'm-2'"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Identities(t.Context(), "m-2"); err == nil {
		t.Error("it opens")
	}
}

// Programs that start at once with a key for the first time agree on one data key.
func TestOneDataKey(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	stores := make([]*store.Store, 6)
	for i := range stores {
		b.open(keyA)
		stores[i] = b.Store
	}
	var group sync.WaitGroup
	for i, s := range stores {
		group.Go(func() {
			if err := s.PutIdentities(t.Context(), mailOf(fmt.Sprintf("m-%d", i%3+1), fmt.Sprintf("a%d@example.com", i))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, member := range []string{"m-1", "m-2", "m-3"} {
		for _, s := range stores {
			if list, err := s.Identities(t.Context(), member); err != nil || len(list) != 1 {
				t.Errorf("%s: %v, %v", member, list, err)
			}
		}
	}
}

func TestErasingAMemberErasesHerAddresses(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.put(mailOf("m-1", "lin@example.com"))
	if _, err := b.Pool().Exec(t.Context(), "delete from members where id = 'm-1'"); err != nil {
		t.Fatal(err)
	}
	if b.dumped("lin@") {
		t.Error("her address is still there")
	}
}

func TestParseAddressKeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, keyA: 1, keyA + ", " + keyB: 2, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=": 1,
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8": 1,
	} {
		keys, err := store.ParseAddressKeys(text)
		if err != nil || len(keys) != want {
			t.Errorf("%q: %d keys, %v", text, len(keys), err)
		}
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if shown := fmt.Sprintf(format, keys); strings.Contains(shown, "0 1 2") || strings.Contains(shown, "00010203") {
				t.Errorf("%s shows the key: %s", format, shown)
			}
		}
	}
	for _, text := range []string{"short", keyA[:62], keyA + "," + keyA + "," + keyA + "," + keyA} {
		if _, err := store.ParseAddressKeys(text); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTheFirstOfTwoIsNotLost tells of a member of whom nothing is known yet from two sides
// at once: one says that she has opted out, one what her address is.
func TestTheFirstOfTwoIsNotLost(t *testing.T) {
	t.Parallel()
	no := store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityOptedOut, Reason: "by telephone"}
	for name, puts := range map[string][2]store.IdentityPut{
		"the no first":      {no, mailOf("m-1", "lin@example.com")},
		"the address first": {mailOf("m-1", "lin@example.com"), no},
	} {
		b := newBook(t)
		// Whoever writes of her is held up until both have come.
		held, err := b.Pool().Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := held.Exec(t.Context(), "select from members where id = 'm-1' for update"); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for i, put := range puts {
			group.Go(func() {
				if err := b.PutIdentities(t.Context(), put); err != nil {
					t.Error(err)
				}
			})
			until(t, "the call waits", func() bool { return waiting(t, b.Store, "%") == i+1 })
		}
		if err := held.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if group.Wait(); b.says("m-1") != "mail  l***@example.com opted_out by telephone" {
			t.Errorf("%s: %q", name, b.says("m-1"))
		}
	}
}

// TestALinkIsTheMailboxs: whoever follows the link in a mail says no for the mailbox, and
// nobody else who has the same address is written to there.
func TestALinkIsTheMailboxs(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"", keyA} {
		b := newBook(t)
		b.open(keys)
		asks := func(member string) {
			b.put(store.IdentityPut{Member: member, Kind: "mail", State: campaign.IdentityReachable, Reason: "asked"})
		}
		b.put(mailOf("m-1", "lin@example.com"), mailOf("m-2", "Lin@example.com"), mailOf("m-3", "mei@example.com"))
		for _, step := range []struct {
			what                string
			do                  func()
			first, second, last string
		}{
			{"one of two", func() { b.optOut("m-1", true) }, "l***@example.com opted_out one_click", "L***@example.com opted_out one_click", "m***@example.com reachable"},
			{"the other asks for it", func() { asks("m-2") }, "l***@example.com opted_out one_click", "L***@example.com reachable asked", "m***@example.com reachable"},
			{"the link again", func() { b.optOut("m-1", true) }, "l***@example.com opted_out one_click", "L***@example.com opted_out one_click", "m***@example.com reachable"},
			{
				"a third is told of with the address", func() { b.put(mailOf("m-3", "LIN@example.com")) },
				"l***@example.com opted_out one_click", "L***@example.com opted_out one_click", "L***@example.com opted_out one_click",
			},
			{"all ask for it", func() { asks("m-1"); asks("m-2"); asks("m-3") }, "l***@example.com reachable asked", "L***@example.com reachable asked", "L***@example.com reachable asked"},
			{"a call says no for one", func() {
				b.put(store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityOptedOut, Reason: "by telephone"}, mailOf("m-3", "mei@example.com"))
			}, "l***@example.com opted_out by telephone", "L***@example.com reachable asked", "m***@example.com reachable asked"},
			{
				"and not for who comes later", func() { b.put(mailOf("m-3", "lin@example.com")) },
				"l***@example.com opted_out by telephone", "L***@example.com reachable asked", "l***@example.com reachable asked",
			},
			{
				"she has another address, where nobody said no", func() {
					b.optOut("m-3", true)
					b.put(mailOf("m-3", "mei@example.com"))
					asks("m-2")
					b.put(mailOf("m-2", "Mei@example.com"))
				}, "l***@example.com opted_out by telephone", "M***@example.com reachable asked", "m***@example.com opted_out one_click",
			},
			{
				"back", func() {
					asks("m-3")
					b.put(mailOf("m-2", "Lin@example.com"), mailOf("m-3", "lin@example.com"))
					asks("m-2")
					asks("m-3")
				},
				"l***@example.com opted_out by telephone", "L***@example.com reachable asked", "l***@example.com reachable asked",
			},
			{
				"but the link of one who had said no does", func() { b.optOut("m-1", true) },
				"l***@example.com opted_out by telephone", "L***@example.com opted_out one_click", "l***@example.com opted_out one_click",
			},
		} {
			step.do()
			for member, want := range map[string]string{"m-1": step.first, "m-2": step.second, "m-3": step.last} {
				if got := b.says(member); got != "mail  "+want {
					t.Fatalf("%s: %s is %q, want %q", step.what, member, got, want)
				}
			}
		}
	}
}

// An address that is told of while somebody follows the link counts, whoever is first.
func TestALinkMeetsAnImport(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.put(mailOf("m-1", "lin@example.com"))
	link := b.id("m-1")
	// The import has written the address of another member and is not through.
	held, err := b.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.Exec(t.Context(), "lock table identities in share mode"); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		if err := b.PutIdentities(t.Context(), mailOf("m-2", "lin@example.com")); err != nil {
			t.Error(err)
		}
	})
	until(t, "the import waits", func() bool { return waiting(t, b.Store, "%") == 1 })
	group.Go(func() {
		if found, err := b.OptOut(t.Context(), link, "one_click"); !found || err != nil {
			t.Errorf("OptOut = %v, %v", found, err)
		}
	})
	until(t, "the link waits", func() bool { return waiting(t, b.Store, "%") == 2 })
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	for _, member := range []string{"m-1", "m-2"} {
		if got := b.says(member); got != "mail  l***@example.com opted_out one_click" {
			t.Errorf("%s is %q", member, got)
		}
	}
}

// The link in an old mail is good for as long as the member is known, whatever became of
// her address meanwhile.
func TestALinkOutlivesTheAddress(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.put(mailOf("m-1", "lin@example.com"))
	link := b.id("m-1")
	clicks := func(want bool, state string) {
		t.Helper()
		if found, err := b.OptOut(t.Context(), link, "one_click"); found != want || err != nil {
			t.Fatalf("OptOut = %v, %v; want %v", found, err, want)
		}
		if got := b.says("m-1"); got != state {
			t.Fatalf("%q, want %q", got, state)
		}
	}
	b.remove("m-1")
	if got := b.says("m-1"); got != "" {
		t.Errorf("what is removed is listed: %q", got)
	}
	if err := b.RemoveIdentity(t.Context(), "m-1", "mail", ""); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("removed twice: %v", err)
	}
	if b.dumped("lin@") {
		t.Error("the address is still there")
	}
	b.put(mailOf("m-1", "mei@example.com"))
	clicks(true, "mail  m***@example.com opted_out one_click")
	b.put(store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityReachable})
	b.put(store.IdentityPut{Member: "m-1", Kind: "mail", State: campaign.IdentityUnreachable, Reason: "bounced"})
	b.remove("m-1")
	if got := b.says("m-1"); got != "" {
		t.Errorf("that an address was dead outlives it: %q", got)
	}
	clicks(true, "mail   opted_out one_click")
	if err := b.EraseIdentities(t.Context(), "m-1"); err != nil {
		t.Fatal(err)
	}
	clicks(false, "")
}
