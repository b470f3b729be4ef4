package fraud_test

import (
	"fmt"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/fraud"
)

// The third account on one phone is held for a person. That the two pay from one wallet is
// told too.
func ExampleJudge() {
	verdict := fraud.Judge(fraud.Rules{}, fraud.Facts{
		Inviter: "m-1", Invitee: "m-2", SamePayment: true, DeviceMembers: 2, PhonePrefix: "138", RequestAge: 2 * time.Second,
	})
	fmt.Println(verdict.Effect, verdict.Score)
	for _, reason := range verdict.Reasons {
		fmt.Println("-", reason.Words(campaign.English))
	}
	fmt.Println(verdict.Words(campaign.Chinese))
	// Output:
	// hold 75
	// - inviter and invitee pay from the same account
	// - 2 other members came from the same device within 30d, more than 1
	// 待人工审核：邀请人与被邀请人使用同一支付账户；30d 内同一设备另有 2 位会员，超过 1 位
}

// A campaign for families lets them share a wallet and a tablet, and is stricter with
// devices that bring many.
func ExampleRules() {
	rules := fraud.Rules{
		HoldAt: 70,
		Settings: map[fraud.Name]fraud.Setting{
			fraud.SamePayment:    {Effect: fraud.Allow, Score: 20},
			fraud.SameDevice:     {Effect: fraud.Allow, Score: 20},
			fraud.DeviceVelocity: {Effect: fraud.Hold, Score: 50, Most: 4, Within: 90 * 24 * time.Hour},
		},
	}
	if err := rules.Check(); err != nil {
		fmt.Println(err)
	}
	mother := fraud.Facts{Inviter: "m-1", Invitee: "m-2", SamePayment: true, SameDevice: true, DeviceMembers: 3}
	fmt.Println(fraud.Judge(rules, mother).Effect, fraud.Judge(fraud.Rules{}, mother).Effect)
	// Output: allow hold
}

// A mistake in the rules says where it is.
func ExampleRules_Check() {
	fmt.Println(fraud.Rules{RejectAt: 50}.With(fraud.SamePhone, fraud.Setting{Effect: "stop", Most: 3}).Check())
	// Output:
	// reject_at (50) is below hold_at (60); what is rejected would have been held first
	// same-phone: effect is allow, hold or reject, not "stop"
	// same-phone: it has no limit, so most has no meaning; leave it out
}
