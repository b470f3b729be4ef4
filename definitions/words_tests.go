package definitions

import "github.com/banyanhq/banyan/campaign"

// testLexicons are the words of tests, in a campaign or in a file beside it.
func testLexicons() []lexicon {
	return []lexicon{
		{shape: testsShape, words: map[string]word{"tests": testsWord(true)}},
		{shape: testShape, words: testWords},
		{shape: testMember, words: testMemberWords, more: aText()},
		{shape: testEvent, words: testEventWords},
		{shape: expectShape, words: expectWords},
		{shape: expectedSend, words: expectedSendWords},
		{shape: expectedOffer, words: expectedOfferWords},
		{shape: expectedGrant, words: expectedGrantWords},
		{shape: expectedOutcome, words: expectedOutcomeWords},
	}
}

func testsWord(required bool) word {
	return word{
		"Tests", "测试", "What happens to one member, and what the campaign must do then. No part of what runs.",
		"一位会员身上发生什么，活动应当怎么做。测试不影响活动运行。",
		[]any{schema{
			"name":   "comes and buys",
			"events": []any{schema{"at": "+0s", "event": "order.paid", "with": schema{"offer": "trial", "amount": 9.9}}},
			"expect": schema{"outcome": "completed"},
		}},
		schema{"type": "array", "minItems": 1, "maxItems": maxTests, "items": of(testShape)},
		required,
	}
}

var testWords = map[string]word{
	"name":    {"Name", "名称", "What the test shows.", "这个测试说明什么。", "comes and buys", aTitle(), true},
	"journey": {"Journey", "旅程", "The journey that is looked at. All of them, unless told.", "要看哪条旅程。不写就看全部。", "trial-to-card", aText(), false},
	"start":   {"Start", "起点", "The moment that spans such as +2h count from.", "+2h 这样的时长从哪一刻算起。", "2027-03-01 10:00", aMoment(), false},
	"until":   {"Until", "终点", "The end of the test. Until nothing falls due any more, unless told.", "测试到什么时候结束。不写就到再没有要做的事为止。", "+30d", aMoment(), false},
	"member":  {"Member", "会员", "Who it happens to: somebody who joined 30 days before, unless told.", "是怎样的会员。不写就是 30 天前加入的人。", schema{"tags": []any{"staff"}}, of(testMember), false},
	"holdout": {"Holdout", "对照组", "Whether the member is held out.", "会员是不是在对照组里。", true, aTruth(), false},
	"stock":   {"Stock", "剩余库存", "How many of an offer are left at the start.", "一开始每个商品还剩多少份。", schema{"monthly-card": 0}, amountsLeft(), false},
	"budget":  {"Budget", "剩余预算", "How many points of a reward are left at the start.", "一开始每个奖励还剩多少积分。", schema{"first-card": 0}, amountsLeft(), false},
	"events": {
		"Events", "发生的事", "What happens, in any order.", "发生的事情，先后不限。",
		[]any{schema{"at": "+1d", "event": "lesson.attended", "with": schema{"lesson": "yoga"}}},
		schema{"type": "array", "items": of(testEvent)},
		false,
	},
	"expect": {"Expect", "预期", "What must come of it. What is not named is not looked at.", "应当有什么结果。没写的不看。", schema{"outcome": "completed"}, of(expectShape), true},
}

var testMemberWords = map[string]word{
	"id":        {"ID", "编号", "The member's id, which decides holdout and splits.", "会员编号，对照组和分流由它决定。", "m-1", aText(), false},
	"joined_at": {"Joined at", "加入时间", "When the member joined.", "会员什么时候加入。", "-30d", aMoment(), false},
	"tags":      {"Tags", "标签", "The member's tags at the start.", "会员一开始有哪些标签。", []any{"staff"}, someTags(), false},
	"points":    {"Points", "积分", "The member's points at the start.", "会员一开始有多少积分。", 100, aNumberLeft(), false},
	"source":    {"Source", "来源", "Where the member came from.", "会员从哪里来。", "shop", aText(), false},
	"inviter":   {"Inviter", "邀请人", "The id of whoever brought the member.", "邀请人的编号。", "m-2", aText(), false},
}

var testEventWords = map[string]word{
	"at":     {"At", "时刻", "When it happens: a span from the start such as +1d2h, or a date and time.", "什么时候发生：从起点算的时长，如 +1d2h，或日期时间。", "+1d2h", aMoment(), true},
	"stored": {"Stored", "得知时刻", "When Banyan is told of it. At once, unless told.", "榕树什么时候得知。不写就是当时。", "+2d5m", aMoment(), false},
	"event":  {"Event", "事件", "The type of the event.", "哪种事件。", "order.paid", aText(), false},
	"with":   {"With", "属性", "The properties of the event.", "事件的属性。", schema{"offer": "trial", "amount": 9.9}, schema{"type": "object", "additionalProperties": aText()}, false},
	"enter":  {"Enter", "进入", "The journey that the API enters the member into, instead of an event.", "由 API 送进哪条旅程，代替事件。", "trial-to-card", aText(), false},
	"decide": {"Decide", "决定", "A person's decision about the review that is open then: approve or reject.", "审核人此时的决定：approve 通过，reject 驳回。", "approve", oneOfWords(campaign.Approve, campaign.Reject), false},
	"answer": {"Answer", "应答", "The call that its service answers then, by its save_as; `with` holds the fields.", "此时应答的调用，写它的 save_as；with 里写各个字段。", "crm", aText(), false},
	"refuse": {"Refuse", "拒绝", "The call that its service refuses for good then.", "此时被服务彻底拒绝的调用。", "crm", aText(), false},
}

var expectWords = map[string]word{
	"sends":   {"Sends", "发出的消息", "All messages, in their order.", "按顺序发出的全部消息。", []any{schema{"message": "welcome", "at": "+0s"}}, namesOr(expectedSend), false},
	"offers":  {"Offers", "打开的优惠", "All offers that are opened, and what becomes of them.", "打开的全部优惠，以及各自的结局。", []any{schema{"offer": "monthly-card", "state": "taken"}}, namesOr(expectedOffer), false},
	"grants":  {"Grants", "发放的奖励", "All rewards that are granted.", "发放的全部奖励。", []any{"first-card"}, namesOr(expectedGrant), false},
	"outcome": {"Outcome", "结果", "How each entry ends; under-way if it does not, [] if nobody enters.", "每次进入的结果；还没结束写 under-way，没有进入写 []。", "completed", namesOr(expectedOutcome), false},
	"goal":    {"Goal", "达成目标", "Whether the goal is reached.", "有没有达成目标。", true, aTruth(), false},
	"tags": {
		"Tags", "标签", "All tags at the end, or at the moments that are named.", "结束时的全部标签，或写明各个时刻。",
		[]any{"member"},
		anyOf(someTags(), schema{"type": "object", "additionalProperties": someTags()}), false,
	},
	"attributes": {"Attributes", "属性", "What attributes are at the end.", "结束时的属性。", schema{"visits": 4}, schema{"type": "object", "additionalProperties": aText()}, false},
	"points":     {"Points", "积分", "The member's points at the end.", "结束时的积分。", 100, aNumberLeft(), false},
}

var expectedAtWord = word{"At", "时刻", "When it happens.", "什么时候发生。", "+1d", aMoment(), false}

var expectedSendWords = map[string]word{
	"message": {"Message", "话术", "The message.", "哪条话术。", "welcome", aText(), true},
	"at":      expectedAtWord,
	"text":    {"Text", "正文", "The whole text, or a part of it.", "全文，或其中一段。", "199.00", aText(), false},
}

var expectedOfferWords = map[string]word{
	"offer": {"Offer", "优惠", "The offer.", "哪个优惠。", "monthly-card", aText(), true},
	"state": {
		"State", "状态", "What it comes to.", "最后的状态。", "taken",
		oneOfWords(campaign.OfferOpen, campaign.OfferTaken, campaign.OfferLapsed, campaign.OfferWithdrawn), false,
	},
	"at":   {"At", "时刻", "When it was taken, lapsed or withdrawn; when it was opened, if it is open still.", "什么时候买下、过期或收回；还开着就是打开的时刻。", "+2d", aMoment(), false},
	"paid": {"Paid", "实付", "What was paid for it.", "付了多少钱。", 199, anAmount(), false},
}

var expectedGrantWords = map[string]word{
	"reward": {"Reward", "奖励", "The reward.", "哪个奖励。", "first-card", aText(), true},
	"at":     expectedAtWord,
}

var expectedOutcomeWords = map[string]word{
	"outcome": {"Outcome", "结果", "How the entry ends: an outcome of the campaign, or under-way.", "这次进入的结果，或 under-way。", "completed", aText(), true},
	"at":      expectedAtWord,
}

// aMoment is a span from the start of a test, or a date and time.
func aMoment() schema { return schema{"type": []string{"string", "number"}} }

func aTruth() schema { return schema{"enum": []any{true, false, "true", "false"}} }

func aNumberLeft() schema {
	return schema{"type": []string{"integer", "string"}, "minimum": 0, "maximum": maxPoints, "pattern": `^-?[0-9]+$`}
}

func amountsLeft() schema { return schema{"type": "object", "additionalProperties": aNumberLeft()} }

func someTags() schema { return anyOf(aTagText(), schema{"type": "array", "items": aTagText()}) }

// namesOr is what is expected of one kind: names alone, or names with more about them.
func namesOr(s shape) schema {
	return anyOf(aText(), of(s), schema{"type": "array", "items": anyOf(aText(), of(s))})
}
