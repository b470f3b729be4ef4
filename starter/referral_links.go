package starter

import (
	"errors"
	"hash/fnv"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/banyanhq/banyan/attribution"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/codes"
	"github.com/banyanhq/banyan/store"
)

// ReferralPath is where the short links of codes begin.
const ReferralPath = "/r/"

// attributionParameter is what a landing page is told by: who brought the visitor, signed.
const attributionParameter = "banyan_ref"

// How often one address may follow short links, in a second.
const (
	clickRate  = 5
	clickBurst = 40
)

// ReferralLinks are the short links of codes: under which address friends reach this server,
// which keys sign (the first) and are believed, and to which hosts links may lead. The zero
// value makes none and leads nowhere.
type ReferralLinks struct {
	Base  string // such as https://banyan.shop.example.com
	Keys  [][]byte
	Hosts []string // shop.example, or shop.example:8443
}

const maxReferralHosts = 50

// ParseReferralHosts reads hosts, separated by commas.
func ParseReferralHosts(text string) (hosts []string, err error) {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		if part == "" {
			continue
		}
		u, err := url.Parse("https://" + part + "/")
		if err != nil || u.Host != part || u.User != nil || strings.ContainsAny(part, "*?# ") || len(hosts) == maxReferralHosts {
			return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_REFERRAL_HOSTS are the hosts to which invitations may lead, separated by commas, such as shop.example,join.shop.example")
		}
		hosts = append(hosts, part)
	}
	return hosts, nil
}

// String hides the keys, should somebody print it.
func (l ReferralLinks) String() string { return "invitations by " + l.Base }

// GoString hides the keys.
func (l ReferralLinks) GoString() string { return l.String() }

// leads reports whether short links of a campaign lead anywhere.
func (l ReferralLinks) leads(r *campaign.Referral) bool {
	if l.Base == "" || len(l.Keys) == 0 || r == nil {
		return false
	}
	_, ok := l.allowed(r.Link)
	return ok
}

func (l ReferralLinks) allowed(link string) (*url.URL, bool) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return nil, false
	}
	for _, host := range l.Hosts {
		if strings.EqualFold(u.Host, host) {
			return u, true
		}
	}
	return nil, false
}

func (l ReferralLinks) short(code string) string {
	return strings.TrimSuffix(l.Base, "/") + ReferralPath + code
}

// channelName is what a link may say of where it was shown.
var channelName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// follow leads a friend to the landing page. It counts the click, sets no cookie, keeps
// nothing of who it was, and leads to no host that is not allowed.
func (s *Server) follow(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	from := remote(r)
	if from.IsValid() {
		sum := fnv.New64a()
		_, _ = sum.Write(from.AsSlice())
		if wait, ok := s.clicks.take(int64(sum.Sum64())); !ok {
			s.refuseClick(w, r, http.StatusTooManyRequests, wait)
			return
		}
	}
	marks := store.ReferralMarks{Address: from}
	if from.IsValid() {
		marks.Device = "click " + from.String()
	}
	code, err := codes.Normalize(r.PathValue("code"))
	var click store.Click
	if err != nil {
		err = s.store.MissedCode(r.Context(), "", marks)
	} else {
		click, err = s.store.Click(r.Context(), code, marks)
	}
	if err != nil {
		s.clickFailed(w, r, err)
		return
	}
	to, ok := s.cfg.ReferralLinks.allowed(click.Link)
	if !ok || len(s.cfg.ReferralLinks.Keys) == 0 {
		s.refuseClick(w, r, http.StatusNotFound, 0)
		return
	}
	channel := r.URL.Query().Get("channel")
	if !channelName.MatchString(channel) {
		channel = ""
	}
	q := to.Query()
	q.Set(attributionParameter, attribution.Sign(s.cfg.ReferralLinks.Keys[0], attribution.Claim{
		Campaign: click.Code.Campaign, Channel: channel, Inviter: click.Code.Code, At: click.Now,
	}))
	to.RawQuery = q.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

func (s *Server) clickFailed(w http.ResponseWriter, r *http.Request, err error) {
	var locked *store.LockedOutError
	switch {
	case errors.As(err, &locked):
		s.refuseClick(w, r, http.StatusTooManyRequests, locked.After)
	case campaign.CodeOf(err) == campaign.CodeNotFound:
		s.refuseClick(w, r, http.StatusNotFound, 0)
	default:
		s.logError(r.Context(), err)
		s.refuseClick(w, r, http.StatusServiceUnavailable, time.Second)
	}
}

// refuseClick tells somebody who holds a phone, in Chinese and English, and nothing of why.
func (s *Server) refuseClick(w http.ResponseWriter, _ *http.Request, status int, wait time.Duration) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	text := "这个邀请链接无效或已结束。\nThis invitation is not valid, or it is over.\n"
	if wait > 0 {
		h.Set("Retry-After", retryAfter(wait))
		text = "请稍后再试。\nPlease try again later.\n"
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// remote is the address from which a request comes. Where a proxy of our own stands before
// us, which is known by its private address, it is the one that the proxy saw.
func remote(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	if !addr.IsPrivate() && !addr.IsLoopback() {
		return addr
	}
	seen := r.Header.Values("X-Forwarded-For")
	if len(seen) == 0 {
		return netip.Addr{} // everybody behind one proxy would be one
	}
	list := strings.Split(seen[len(seen)-1], ",")
	last, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1]))
	if err != nil {
		return netip.Addr{}
	}
	return last.Unmap().WithZone("")
}
