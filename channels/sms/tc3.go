package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The signature of Tencent Cloud's API 3.0 (签名方法 v3, TC3-HMAC-SHA256): a POST of JSON to
// the root of a host, of which the content type, the host and the body are signed.
const (
	tc3Algorithm   = "TC3-HMAC-SHA256"
	tc3Headers     = "content-type;host"
	tc3ContentType = "application/json; charset=utf-8"
)

// signTC3 gives the header Authorization. The day in it is UTC's, whatever the machine's zone.
func signTC3(secretID, secretKey, service, host string, body []byte, at time.Time) string {
	day := at.UTC().Format(time.DateOnly)
	scope := day + "/" + service + "/tc3_request"
	request := "POST\n/\n\ncontent-type:" + tc3ContentType + "\nhost:" + strings.ToLower(host) + "\n\n" + tc3Headers + "\n" + hash(body)
	message := tc3Algorithm + "\n" + strconv.FormatInt(at.Unix(), 10) + "\n" + scope + "\n" + hash([]byte(request))
	key := []byte("TC3" + secretKey)
	for _, part := range []string{day, service, "tc3_request"} {
		key = mac(key, part)
	}
	return fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s", tc3Algorithm, secretID, scope, tc3Headers, hex.EncodeToString(mac(key, message)))
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
