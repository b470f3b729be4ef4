package definitions

// populationLexicons are the words of populations, each of which is a file of its own.
func populationLexicons() []lexicon {
	return []lexicon{
		{shape: populationShape, words: populationWords},
		{shape: arriveShape, words: arriveWords},
		{shape: lateShape, words: lateWords},
		{shape: reactionShape, words: reactionWords},
		{shape: triggerShape, words: populationTriggerWords, more: aText()},
		{shape: deciderShape, words: deciderWords},
	}
}

var populationWords = map[string]word{
	"population": {"Population", "人群", "A name for the population.", "这群人的名字。", "a small café", aTitle(), true},
	"arrive": {
		"Arrive", "到来", "How they come: so many a day, or all of them within a span. Evenly over the whole rehearsal, unless told.",
		"他们怎样到来：每天多少人，或在一段时间内全部到来。不写就平均分布在整个推演期间。",
		schema{"per_day": 20},
		of(arriveShape), false,
	},
	"joined": {"Joined", "入会", "How long before they come they became members. When they come, unless told.", "到来之前多久成为会员。不写就是到来时。", "0d-300d", aSpan(), false},
	"member": {
		"Member attributes", "会员属性", "One value for all, a list of values as frequent as each other, or values with their shares.",
		"所有人同一个值、机会均等的几个值，或各个值的占比。",
		schema{"city": schema{"上海": "70%", "杭州": "20%"}},
		schema{"type": "object", "additionalProperties": anyOf(aText(), schema{"type": "array", "items": aText()}, portions())},
		false,
	},
	"tags": {"Tags", "标签", "Tags, with the share of the members who have each.", "标签，以及有这个标签的人的占比。", schema{"staff": "3%"}, portions(), false},
	"hours": {
		"Hours", "活跃时段", "How lively the hours of the day are, in the campaign's timezone. An hour that is not named is 1.",
		"一天里各个时段有多活跃，按活动时区。没写的时段是 1。",
		schema{"0-7": 0, "18-22": 5},
		livelyHours(), false,
	},
	"late": {"Late", "迟到", "The share of events that are told late, and by how much.", "有多大比例的事件晚报，晚多久。", schema{"share": "2%", "by": "10m-6h"}, of(lateShape), false},
	"behaviour": {
		"Behaviour", "行为", "What members do, each after something else.", "会员会做什么，每件事都由另一件事引起。",
		[]any{schema{"on": "arrive", "do": "order.paid"}},
		schema{"type": "array", "items": of(reactionShape)},
		true,
	},
	"reviews": {
		"Reviews", "审核", "How people decide what they are asked about members; the first that fits a review counts. Without it nobody decides.",
		"审核人怎样决定，第一条符合的算数。不写就没人决定。",
		[]any{schema{"by": "coach", "approve": "70%", "reject": "20%", "after": "1h-2d"}},
		schema{"type": "array", "items": of(deciderShape)},
		false,
	},
}

var arriveWords = map[string]word{
	"per_day": {"Per day", "每天", "How many come a day.", "每天来多少人。", 20, aCount(maxCount), false},
	"over":    {"Over", "多久", "The span within which all of them come.", "多长时间内全部到来。", "10d", aDuration(), false},
}

var lateWords = map[string]word{
	"share": {"Share", "占比", "The share of events that are told late.", "晚报的事件占多少。", "2%", aPortion(), true},
	"by":    {"By", "晚多久", "How much later they are told.", "晚多久才报。", "10m-6h", aSpan(), true},
}

var reactionWords = map[string]word{
	"on": {
		"On", "起因", "What it is a reaction to: arrive, or a message, an offer, an event, a wait, or the call of a service.", "由什么引起：arrive 到来，或一条话术、一个优惠、一个事件、一次等待、一次服务调用。",
		schema{"message": "card-offer"},
		anyOf(oneOfWords(OnArrive), of(triggerShape)), true,
	},
	"do":    {"Do", "做", "The event that happens.", "发生什么事件。", "order.paid", aText(), false},
	"enter": {"Enter", "进入", "The journey that the API enters the member into, instead of an event.", "由 API 送进哪条旅程，代替事件。", "trial-to-card", aText(), false},
	"answer": {
		"Answer", "应答", "What the service answers to the call, field by field.", "服务对这次调用的应答，按字段写。",
		schema{"level": "gold"},
		schema{"type": "object", "additionalProperties": aText()},
		false,
	},
	"refuse": {"Refuse", "拒绝", "true: the service refuses the call for good.", "true：服务拒绝这次调用。", true, aTruth(), false},
	"with": {
		"With", "属性", "Properties of the event. An order has a number of its own and costs what the shop asks for then, unless told.",
		"事件的属性。订单号和金额不写就自动生成：金额是商城当时的价格。",
		schema{"offer": "trial"},
		schema{"type": "object", "additionalProperties": aText()},
		false,
	},
	"chance":   {"Chance", "可能性", "How likely it is. 100%, unless told.", "有多大可能。不写就是 100%。", "20%", aPortion(), false},
	"segments": {"Segments", "分群", "How likely it is for members in a segment; the first that fits counts.", "对某个分群的人有多大可能，第一个符合的算数。", schema{"regular": "35%"}, portions(), false},
	"after":    {"After", "多久之后", "How long after: a span, or two bounds. At once, unless told.", "多久之后：一个时长，或上下限。不写就是马上。", "1h-3d", aSpan(), false},
	"times":    {"Times", "次数", "How often, each that long after the one before.", "做几次，每次与上一次隔那么久。", 3, aCount(maxTimes), false},
	"unless":   {"Unless", "除非", "An event that keeps members from it, if it has happened in between.", "期间发生了这个事件就不做。", schema{"event": "order.paid", "offer": "monthly-card"}, of(triggerShape), false},
}

var populationTriggerWords = map[string]word{
	"event":   {"Event", "事件", "An event happens. Properties that it must have stand beside it.", "发生一个事件。旁边写它要有的属性。", "order.paid", aText(), false},
	"wait":    {"Wait", "等待", "A journey begins to wait for that event.", "旅程开始等这个事件。", "lesson.attended", aText(), false},
	"message": {"Message", "话术", "The member is sent the message.", "会员收到这条话术。", "card-offer", aText(), false},
	"offer":   {"Offer", "优惠", "The offer opens for the member, or comes to what state says.", "优惠对会员打开，或变成 state 写的状态。", "monthly-card", aText(), false},
	"call":    {"Call", "调用", "A journey calls the service.", "旅程调用这个服务。", "crm", aText(), false},
	// Beside an event it may be a property of any value.
	"state": {"State", "状态", "What the offer comes to: open, taken, lapsed or withdrawn. open, unless told.", "优惠变成什么状态：open、taken、lapsed 或 withdrawn。不写就是 open。", "lapsed", aText(), false},
}

var deciderWords = map[string]word{
	"by":      {"By", "角色", "The role that is asked. Whichever is, unless told.", "问的是哪个角色。不写就是不管问谁。", "coach", aText(), false},
	"step":    {"Step", "步骤", "The review: JOURNEY/LABEL, or JOURNEY/STEP with the step's number. Whichever it is, unless told.", "哪个审核：旅程/标签，或旅程/步骤编号。不写就是所有审核。", "trial-to-card/check", aText(), false},
	"approve": {"Approve", "通过", "How likely it is that it is approved.", "通过的可能性。", "70%", aPortion(), false},
	"reject":  {"Reject", "驳回", "How likely it is that it is rejected. In the remaining cases nobody decides in time.", "驳回的可能性。其余情况没人按时决定。", "20%", aPortion(), false},
	"after":   {"After", "多久之后", "How long after being asked: a span, or two bounds.", "被问之后多久决定：一个时长，或上下限。", "1h-2d", aSpan(), false},
	"hours":   {"Hours", "工作时段", "How lively the hours of the day are for those who decide. Those of the population, unless told.", "审核人各个时段有多活跃。不写就与人群相同。", schema{"0-9": 0, "18-24": 0}, livelyHours(), false},
}

// aPortion is a share with up to four decimal places.
func aPortion() schema {
	return schema{"type": "string", "pattern": `^[0-9]+(\.[0-9]{1,4})? *%$`}
}

// aSpan is a duration, or two.
func aSpan() schema { return schema{"type": "string", "minLength": 2, "pattern": `^[0-9wdhms -]+$`} }

func portions() schema { return schema{"type": "object", "additionalProperties": aPortion()} }

func livelyHours() schema {
	return schema{
		"type":                 "object",
		"additionalProperties": schema{"type": []string{"number", "string"}, "minimum": 0, "maximum": 1000},
	}
}
