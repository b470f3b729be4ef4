package fakeplatform

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the vendor's
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// CallbackAccount is an account of WeCom or WeChat as its callback was set up.
type CallbackAccount struct {
	URL      string // that was entered
	Token    string
	Key      string // EncodingAESKey
	Receiver string // corp id, or app id
	JSON     bool   // a mini program that was set to it
	Clock    *Clock // nil: this machine's
	// Plain: its address is asked plainly, as those of official accounts and mini programs are.
	Plain bool

	random io.Reader // nil: chance
}

// impatience is how long a platform waits for an answer.
const impatience = 5 * time.Second

// tries is how often it calls in all.
const tries = 3

// Ask asks the address whether it is the account's, as when somebody presses save.
func (a *CallbackAccount) Ask(ctx context.Context) error {
	stamp, nonce := a.stamp(), number()
	want := number()
	q := url.Values{"timestamp": {stamp}, "nonce": {nonce}}
	if a.Plain {
		q.Set("echostr", want)
		q.Set("signature", a.sign(stamp, nonce))
	} else {
		sealed, err := a.encrypt(want)
		if err != nil {
			return err
		}
		q.Set("echostr", sealed)
		q.Set("msg_signature", a.sign(stamp, nonce, sealed))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	status, got, err := request(ctx, http.MethodGet, a.URL+"?"+q.Encode(), nil, nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK || got != want {
		return fmt.Errorf("it answered %d %q, and not %q", status, got, want)
	}
	return nil
}

// Tell calls back once.
func (a *CallbackAccount) Tell(ctx context.Context, payload string) error {
	sealed, err := a.encrypt(payload)
	if err != nil {
		return err
	}
	stamp, nonce := a.stamp(), number()
	q := url.Values{"timestamp": {stamp}, "nonce": {nonce}, "msg_signature": {a.sign(stamp, nonce, sealed)}}
	body := "<xml><ToUserName><![CDATA[" + a.Receiver + "]]></ToUserName><Encrypt><![CDATA[" + sealed + "]]></Encrypt><AgentID><![CDATA[]]></AgentID></xml>"
	if a.JSON {
		text, err := json.Marshal(map[string]string{"ToUserName": a.Receiver, "Encrypt": sealed})
		if err != nil {
			return err
		}
		body = string(text)
	}
	status, got, err := request(ctx, http.MethodPost, a.URL+"?"+q.Encode(), nil, []byte(body))
	if err != nil {
		return err
	}
	if status != http.StatusOK || got != "" && got != "success" {
		return fmt.Errorf("it answered %d %q", status, got)
	}
	return nil
}

func (a *CallbackAccount) stamp() string {
	now := time.Now()
	if a.Clock != nil {
		now = a.Clock.Now()
	}
	return strconv.FormatInt(now.Unix(), 10)
}

func (a *CallbackAccount) sign(parts ...string) string {
	all := append([]string{a.Token}, parts...)
	sort.Strings(all)
	h := sha1.New() //nolint:gosec // as above
	for _, p := range all {
		_, _ = io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// encrypt makes an envelope anew each time, with other random bytes.
func (a *CallbackAccount) encrypt(message string) (string, error) {
	key, err := base64.StdEncoding.DecodeString(a.Key + "=")
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	random := a.random
	if random == nil {
		random = crand.Reader
	}
	if _, err := io.CopyN(&b, random, 16); err != nil {
		return "", err
	}
	if err := binary.Write(&b, binary.BigEndian, int32(len(message))); err != nil { //nolint:gosec // messages are short
		return "", err
	}
	b.WriteString(message + a.Receiver)
	for fill, left := 32-b.Len()%32, 32-b.Len()%32; left > 0; left-- {
		b.WriteByte(byte(fill))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	out := make([]byte, b.Len())
	cipher.NewCBCEncrypter(block, key[:block.BlockSize()]).CryptBlocks(out, b.Bytes())
	return base64.StdEncoding.EncodeToString(out), nil
}

// PayAccount is a merchant of WeChat Pay.
type PayAccount struct {
	URL    string // notify_url
	Key    string // APIv3 key
	Serial string // of the certificate, or the id of the public key
	Signer *rsa.PrivateKey
	Clock  *Clock // nil: this machine's
}

// Notify notifies once. kind is transaction or refund.
func (a *PayAccount) Notify(ctx context.Context, event, kind, resource string) error {
	block, err := aes.NewCipher([]byte(a.Key))
	if err != nil {
		return err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	nonce := fmt.Sprintf("%012d", rand.N(int64(1e12)))
	body, err := json.Marshal(map[string]any{
		"id": "EV-" + number(), "create_time": time.Now().Format(time.RFC3339), "event_type": event, "resource_type": "encrypt-resource", "summary": "…",
		"resource": map[string]string{
			"algorithm": "AEAD_AES_256_GCM", "original_type": kind, "associated_data": kind, "nonce": nonce,
			"ciphertext": base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(nonce), []byte(resource), []byte(kind))),
		},
	})
	if err != nil {
		return err
	}
	stamp, word := (&CallbackAccount{Clock: a.Clock}).stamp(), number()
	digest := sha256.Sum256([]byte(stamp + "\n" + word + "\n" + string(body) + "\n"))
	signature, err := rsa.SignPKCS1v15(nil, a.Signer, crypto.SHA256, digest[:])
	if err != nil {
		return err
	}
	status, got, err := request(ctx, http.MethodPost, a.URL, http.Header{
		"Content-Type": {"application/json"}, "Wechatpay-Timestamp": {stamp}, "Wechatpay-Nonce": {word}, "Wechatpay-Serial": {a.Serial},
		"Wechatpay-Signature": {base64.StdEncoding.EncodeToString(signature)}, "Wechatpay-Signature-Type": {"WECHATPAY2-SHA256-RSA2048"},
	}, body)
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return fmt.Errorf("it answered %d %q", status, got)
	}
	return nil
}

// Deliver calls back as platforms do on a bad day: in another order, at other moments, half of
// it twice, and again where an answer was lost or was no yes. By seed it is the same bad day. An
// error tells of what nobody took in three tries.
func Deliver(ctx context.Context, seed uint64, calls ...func(context.Context) error) error {
	chance := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it is to be the same again
	var (
		due   []func(context.Context) error
		late  []time.Duration
		lost  []bool
		group sync.WaitGroup
	)
	for _, call := range calls {
		for range 1 + chance.IntN(2) {
			due, late, lost = append(due, call), append(late, time.Duration(chance.IntN(30))*time.Millisecond), append(lost, chance.IntN(4) == 0)
		}
	}
	chance.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	failed := make(chan error, len(due))
	few := make(chan struct{}, 8)
	for i, call := range due {
		few <- struct{}{}
		group.Go(func() {
			defer func() { <-few }()
			timer := time.NewTimer(late[i])
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			if lost[i] { // it does not wait for the answer
				brief, cancel := context.WithTimeout(ctx, time.Millisecond)
				_ = call(brief)
				cancel()
			}
			var err error
			for range tries {
				within, cancel := context.WithTimeout(ctx, impatience)
				err = call(within)
				cancel()
				if err == nil {
					return
				}
			}
			failed <- err
		})
	}
	group.Wait()
	close(failed)
	return <-failed // nil where there is none
}

func number() string { return strconv.FormatInt(1e9+rand.N(int64(8e9)), 10) }

func request(ctx context.Context, method, target string, header http.Header, body []byte) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }() // it is read by then
	got, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, strings.TrimSpace(string(got)), err
}
