// Package fakeplatform is a chat platform to develop and test against: it speaks the APIs
// of the real ones over HTTP, counts and blocks as they do, loses answers where it is told
// to, and shows on a page what every person received. It shares no code with the channels,
// only the written-down examples in testdata/wire.
package fakeplatform

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Clock is the platform's own. It runs with real time from where it was moved to.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
}

// Now is the platform's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// Advance moves it ahead.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// Fault is how the platform treats one call that would have been taken.
type Fault string

// Faults.
const (
	LoseAnswer  Fault = "lose_answer"  // does it, and hangs up
	NeverAnswer Fault = "never_answer" // does it, and never answers
	Busy        Fault = "busy"         // errcode -1
	ServerError Fault = "server_error" // HTTP 502, nothing is done
	Blocked     Fault = "blocked"      // errcode 45009, as if the minute's limit were used up: for a minute
	NoIP        Fault = "no_ip"        // errcode 60020: the caller's address is not on the list
	Throttled   Fault = "throttled"    // the gateway for texts answers 429, to come again in seven seconds
)

// Received is a message that a person got: by an app, or as an SMS.
type Received struct {
	Person string // a userid, an openid, or a phone number
	App    int    // of WeCom; 0: it is an SMS, or of an account of WeChat
	By     string // the app id of the official account or mini program; empty: it is none's
	Text   string
	At     time.Time
}

// Options are what a platform is made of.
type Options struct {
	// Corp and Secret are the account of a WeCom app; Agent is the app's number.
	Corp, Secret string
	Agent        int
	// Staff are the userids whom the app can see.
	Staff []string
	// Parallel is how many calls of one API it takes at once; 5 unless set.
	Parallel int
	// SMS is an account of Tencent Cloud SMS, and of a gateway for texts.
	SMS SMSAccount
	// Official is an official account of WeChat.
	Official OfficialAccount
	// Mini is a mini program of WeChat.
	Mini MiniProgram
	// Clock is its clock; a new one unless set.
	Clock *Clock
}

// Limits of application messages, by the vendor's page on limits.
const (
	perMemberMinute = 30
	perMemberHour   = 1000
	perSeatDay      = 200
	maxReceivers    = 1000
	maxTextBytes    = 2048
	tokenLifetime   = 2 * time.Hour
	blockFor        = time.Minute
)

// Record is what the platform saw of its callers.
type Record struct {
	TokensAsked   int // calls of gettoken
	TokensWrong   int // … that were refused
	Calls         int // of message/send
	MostParallel  int
	RefusedAtOnce int // calls above Parallel: 45033
	WhileBlocked  int // calls while the API was blocked: 45009
	Dropped       int // messages above a member's limit, silently
	Repeated      int // messages that its duplicate check held back

	OfficialCalls int // of message/custom/send
	OfficialLate  int // … to somebody who had done nothing for too long: 45015
	OfficialOver  int // … to somebody who had got as many as what she did allows: 45047

	MiniCalls    int // of message/subscribe/send
	MiniNoPermit int // … to somebody who had permitted none: 43101

	SMSRequests int // of SendSms and to the gateway
	SMSUnsigned int // … whose signature was missing, wrong or old
	SMSSent     int // texts that were handed to a phone
	SMSRepeated int // requests to the gateway under a key that it had taken
}

// Platform is a fake platform. It implements http.Handler.
type Platform struct {
	opts  Options
	clock *Clock
	mux   http.ServeMux
	stop  chan struct{}
	once  sync.Once

	mu       sync.Mutex
	token    string
	expires  time.Time
	tokens   int
	messages int
	open     int
	blocked  time.Time // until when
	faults   []Fault
	received []Received
	seen     map[string]time.Time // by app, person and content: until when a repeat is held back
	record   Record
	day      map[string]int // person-times by day
	texts    texts
	stable   map[string]*stable // the tokens of WeChat's accounts, by app id
	official official
	permits  map[permit]int
}

// New makes a platform.
func New(opts Options) *Platform {
	opts.Parallel = cmp.Or(opts.Parallel, 5)
	p := &Platform{opts: opts, clock: opts.Clock, stop: make(chan struct{}), seen: map[string]time.Time{}, day: map[string]int{}, texts: newTexts(), stable: map[string]*stable{}, official: newOfficial(), permits: map[permit]int{}}
	if p.clock == nil {
		p.clock = new(Clock)
	}
	p.mux.HandleFunc("GET /cgi-bin/gettoken", p.getToken)
	p.mux.HandleFunc("POST /cgi-bin/message/send", p.sendMessage)
	p.mux.HandleFunc("POST /cgi-bin/stable_token", p.stableToken)
	p.mux.HandleFunc("POST /cgi-bin/message/custom/send", p.customSend)
	p.mux.HandleFunc("POST /cgi-bin/message/subscribe/send", p.subscribeSend)
	p.mux.HandleFunc("POST /{$}", p.tencent)
	p.mux.HandleFunc("POST /sms", p.gateway)
	p.mux.HandleFunc("GET /{$}", p.page)
	return p
}

// ServeHTTP implements http.Handler.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// Close lets go of the calls that are never answered.
func (p *Platform) Close() { p.once.Do(func() { close(p.stop) }) }

// Clock is the platform's clock.
func (p *Platform) Clock() *Clock { return p.clock }

// Next makes the next messages meet these faults, one each.
func (p *Platform) Next(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, faults...)
}

// Revoke ends the tokens that are given out before its time, as the platform may.
func (p *Platform) Revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token = ""
	for _, s := range p.stable {
		s.token = ""
	}
}

// Received lists what a person got, the oldest first; what everybody got for an empty one.
func (p *Platform) Received(person string) []Received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.received), func(r Received) bool { return person != "" && r.Person != person })
}

// Record is what the platform saw of its callers.
func (p *Platform) Record() Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record
}

// fault takes the next one; its callers hold the lock.
func (p *Platform) fault() (f Fault) {
	if len(p.faults) > 0 {
		f, p.faults = p.faults[0], p.faults[1:]
	}
	return f
}

// misbehave answers in a fault's way, and reports whether it did.
func (p *Platform) misbehave(w http.ResponseWriter, r *http.Request, fault Fault) bool {
	switch fault {
	case ServerError:
		http.Error(w, "bad gateway", http.StatusBadGateway)
	case LoseAnswer:
		panic(http.ErrAbortHandler) // net/http closes the connection without a word
	case NeverAnswer:
		select {
		case <-r.Context().Done():
		case <-p.stop:
		}
	default:
		return false
	}
	return true
}
