package fraud

import (
	"strconv"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

var verdictWords = map[campaign.Lang]map[Effect]string{
	campaign.English: {Allow: "allowed", Hold: "held for review", Reject: "rejected"},
	campaign.Chinese: {Allow: "通过", Hold: "待人工审核", Reject: "拒绝"},
}

// What each rule says when it hits. {found}, {most}, {within} and {took} are filled in.
var reasonWords = map[campaign.Lang]map[Name]string{
	campaign.English: {
		SamePerson:      "inviter and invitee are the same person",
		SamePhone:       "inviter and invitee have the same phone number",
		SamePayment:     "inviter and invitee pay from the same account",
		SameDevice:      "inviter and invitee use the same device",
		Circle:          "the invitations make a circle of {found}: the invitee brought the inviter, directly or through others",
		BoundTwice:      "the invitee was invited in this campaign already",
		PhoneBound:      "somebody with the same phone number was invited already",
		PaymentBound:    "{found} others who pay from the same account were invited already, more than {most}",
		DeviceVelocity:  "{found} other members came from the same device within {within}, more than {most}",
		InviterVelocity: "the inviter brought {found} from few networks within {within}, more than {most}",
		InviterNetwork:  "the inviter brought {found} from the same network within {within}, more than {most}",
		NetworkVelocity: "{found} were invited from the same network within {within}, more than {most}",
		Burst:           "the inviter brought {found} from few networks within {within}, more than {most}",
		DisposableMail:  "the invitee's address is a throw-away mailbox",
		DisposablePhone: "the invitee's number is of a range that can be had in bulk",
		Unverified:      "neither a phone nor a platform's account of the invitee was verified",
		LeftAtOnce:      "the invitee left after {took}, before {within} had passed",
		InviteesLeave:   "{found} of the inviter's invitees left at once, more than {most} and at least half of them",
		GuessedCode:     "{found} wrong codes came from the invitee or her device within {within}, more than {most}",
		GuessingNetwork: "{found} wrong codes came from the invitee's network within {within}, more than {most}",
		ReusedRequest:   "the same request came for {found} other members",
		StaleRequest:    "the request was made {took} before it came, more than {within}",
	},
	campaign.Chinese: {
		SamePerson:      "邀请人与被邀请人是同一人",
		SamePhone:       "邀请人与被邀请人手机号相同",
		SamePayment:     "邀请人与被邀请人使用同一支付账户",
		SameDevice:      "邀请人与被邀请人使用同一设备",
		Circle:          "邀请关系成环（{found} 次邀请）：被邀请人曾直接或间接邀请过邀请人",
		BoundTwice:      "被邀请人在本活动中已被邀请过",
		PhoneBound:      "相同手机号的会员已被邀请过",
		PaymentBound:    "使用同一支付账户的另外 {found} 位会员已被邀请过，超过 {most} 位",
		DeviceVelocity:  "{within} 内同一设备另有 {found} 位会员，超过 {most} 位",
		InviterVelocity: "邀请人在 {within} 内从少数几个网络邀请了 {found} 人，超过 {most} 人",
		InviterNetwork:  "邀请人在 {within} 内从同一网络邀请了 {found} 人，超过 {most} 人",
		NetworkVelocity: "{within} 内同一网络有 {found} 人被邀请，超过 {most} 人",
		Burst:           "邀请人在 {within} 内从少数几个网络邀请了 {found} 人，超过 {most} 人",
		DisposableMail:  "被邀请人使用一次性邮箱",
		DisposablePhone: "被邀请人的手机号属于可批量获取的号段",
		Unverified:      "被邀请人的手机号和平台账号均未验证",
		LeftAtOnce:      "被邀请人 {took} 后即离开，未满 {within}",
		InviteesLeave:   "邀请人带来的会员中有 {found} 人随即离开，超过 {most} 人且不少于一半",
		GuessedCode:     "{within} 内该会员或其设备输错邀请码 {found} 次，超过 {most} 次",
		GuessingNetwork: "{within} 内该网络输错邀请码 {found} 次，超过 {most} 次",
		ReusedRequest:   "同一请求已用于另外 {found} 位会员",
		StaleRequest:    "请求在发出 {took} 后才到达，超过 {within}",
	},
}

// Words tells a reason in words for the person who decides. No member is named.
func (r Reason) Words(lang campaign.Lang) string {
	table := reasonWords[lang]
	if table == nil {
		table = reasonWords[campaign.English]
	}
	words, ok := table[r.Rule]
	if !ok {
		return string(r.Rule)
	}
	return strings.NewReplacer("{found}", strconv.Itoa(r.Found), "{most}", strconv.Itoa(r.Most),
		"{within}", campaign.FormatDuration(r.Within), "{took}", campaign.FormatDuration(r.Took)).Replace(words)
}
