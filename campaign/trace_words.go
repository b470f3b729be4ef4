package campaign

var reasonsEnglish = map[string]string{
	ReasonHoldout:     "this member is in the holdout group, which is measured and sent nothing",
	ReasonQuietHours:  "it is quiet hours",
	ReasonCap:         "the limit of messages per member is used up",
	ReasonOfferEnded:  "the offer would have ended",
	ReasonOfferTaken:  "the offer was taken already",
	ReasonPassed:      "its moment had passed when the offer opened",
	ReasonLeft:        "the member left the journey",
	ReasonRender:      "the text could not be filled in",
	ReasonRefused:     "the channel said permanently no",
	ReasonUnknown:     "the channel's answer was lost, so it may have arrived; it is not repeated blindly",
	ReasonFailed:      "the channel could not be reached for too long",
	ReasonDeadline:    "it came too late to be of use",
	ReasonEnded:       "the campaign was ended",
	ReasonTimes:       "that was the last one",
	ReasonUntil:       "what they were repeated for has come true",
	ReasonAnswered:    "the question was answered or given up before",
	ReasonMigrated:    "the journey was moved to another version",
	ReasonTeamEnded:   "the member waits for no team any more",
	TeamUnknown:       "there is no team with that code",
	TeamElsewhere:     "it is a team of another step",
	TeamFull:          "it has all its members",
	TeamEnded:         "its time is over",
	TeamTwice:         "this member is in it already",
	TeamOrderTwice:    "this order counts already: it has the offer or a place in a team, or had one",
	TeamNoOrder:       "the event does not say which order it is, so nobody could pay it back",
	TeamOrdered:       "the member has ordered it already and waits for her team",
	ReasonUnfit:       "the answer is not what the step declares",
	ReasonNoBody:      "what is to be sent could not be worked out",
	ReasonNoAnswer:    "no answer came in time; the service may have done it",
	ReasonNotMade:     "the service could not be called in time",
	ReasonNoAddress:   "the member has no address for it",
	ReasonOptedOut:    "the member does not want marketing by it",
	ReasonUnreachable: "the member's address takes nothing any more",
	ReasonNoPermit:    "the member has permitted no message by this template, or what she permitted is used up",
	RefusedStock:      "sold out",
	RefusedPerMember:  "the limit per member is reached",
	RefusedPerDay:     "the day's budget is used up",
	RefusedBudget:     "the budget is used up",
	RefusedPaused:     "the reward has paused: what is left is kept back until somebody resumes it",
	RefusedPool:       "no code is left",
	RefusedHeld:       "she has one that is not used yet",
	RefusedStep:       "no higher step is reached",
	RefusedRefunded:   "the order that led to it was refunded",
	RefusedUndecided:  "the rule has no answer for this event",
	RefusedDailyCap:   "the cap of the day leaves no more",
	RefusedNoInviter:  "nobody invited this member",
	RefusedLimit:      "the inviter's limit is reached",
	ReasonReviewed:    "it was held for a decision, and not approved",
	ReasonFraud:       "the rules of fraud found too much",

	string(RefundTeamFailed): "the team was not complete in time",
}

var reasonsChinese = map[string]string{
	ReasonHoldout:     "该会员在对照组，只做统计、不发送",
	ReasonQuietHours:  "正值免打扰时段",
	ReasonCap:         "已达每位会员的消息上限",
	ReasonOfferEnded:  "届时优惠已结束",
	ReasonOfferTaken:  "优惠已被领取",
	ReasonPassed:      "优惠开始时提醒时间已过",
	ReasonLeft:        "会员已离开该旅程",
	ReasonRender:      "文案无法填充",
	ReasonRefused:     "渠道永久拒绝",
	ReasonUnknown:     "渠道的应答丢失，可能已送达，不会盲目重发",
	ReasonFailed:      "渠道长时间无法连通",
	ReasonDeadline:    "已过有效时间",
	ReasonEnded:       "活动已结束",
	ReasonTimes:       "已是最后一轮",
	ReasonUntil:       "结束条件已满足",
	ReasonAnswered:    "此前已回答或已不再等待",
	ReasonMigrated:    "旅程已迁移到另一版本",
	ReasonTeamEnded:   "会员已不再等待组队",
	TeamUnknown:       "没有这个队伍码",
	TeamElsewhere:     "那是另一个步骤的队伍",
	TeamFull:          "该队伍已满员",
	TeamEnded:         "该队伍已到时间",
	TeamTwice:         "该会员已在队伍中",
	TeamOrderTwice:    "该订单已计入：它已经或曾经取得该优惠或占有一个名额",
	TeamNoOrder:       "事件未写明订单号，无法退款",
	TeamOrdered:       "该会员已下单，正在等待成团",
	ReasonUnfit:       "应答不符合步骤的声明",
	ReasonNoBody:      "无法算出要发送的内容",
	ReasonNoAnswer:    "未按时应答，对方可能已处理",
	ReasonNotMade:     "未能按时调用该服务",
	ReasonNoAddress:   "该会员没有此渠道的地址",
	ReasonOptedOut:    "该会员已退订此渠道的营销消息",
	ReasonUnreachable: "该会员的地址已失效",
	ReasonNoPermit:    "该会员未授权此模板的订阅消息，或授权次数已用完",
	RefusedStock:      "已售罄",
	RefusedPerMember:  "已达每人上限",
	RefusedPerDay:     "当日预算已用完",
	RefusedBudget:     "预算已用完",
	RefusedPaused:     "奖励已暂停：剩余预算先保留，等人恢复",
	RefusedPool:       "券码已发完",
	RefusedHeld:       "该会员手中还有未使用的",
	RefusedStep:       "未达到更高一级",
	RefusedRefunded:   "带来该奖励的订单已退款",
	RefusedUndecided:  "规则对这个事件没有结果",
	RefusedDailyCap:   "当日上限不再有余量",
	RefusedNoInviter:  "该会员没有邀请人",
	RefusedLimit:      "邀请人已达上限",
	ReasonReviewed:    "需人工审核且未通过",
	ReasonFraud:       "反作弊规则判定可疑",

	string(RefundTeamFailed): "到时未成团",
}

var traceEnglish = wording{
	TracePoints: func(p func(string) string) string {
		return "got " + p("points") + " points by rule " + p("rule") + by(", less than it gives: ", p("reason"))
	},
	TracePointsTaken: func(p func(string) string) string {
		return p("points") + " points of rule " + p("rule") + " were taken back" + by(", the rest was not there any more: ", p("short"))
	},
	TracePointsExpired: func(p func(string) string) string { return p("points") + " points passed their end" },
	TraceLevel: func(p func(string) string) string {
		if p("to") == "" {
			return "has no level any more" + by(", before it ", p("from"))
		}
		return "has level " + p("to") + by(", before it ", p("from"))
	},
	TraceEntered: func(p func(string) string) string { return "entered the journey" + by(" by ", p("by")) },
	TraceHeldOut: func(func(string) string) string {
		return "belongs to the holdout group: measured, sent and granted nothing"
	},
	TraceStep: func(p func(string) string) string { return "came to the step: " + p("name") },
	TraceSend: func(p func(string) string) string { return "message " + p("message") + " handed to " + p("channel") },
	TraceNotSent: func(p func(string) string) string {
		return "message " + p("message") + " NOT sent: " + p("reason") + by(" – ", p("detail"))
	},
	TraceDelayed: func(p func(string) string) string {
		return "message " + p("message") + " waits until " + p("until") + ": " + p("reason")
	},
	TraceWaiting:  func(p func(string) string) string { return "waits for " + p("what") + " until " + p("until") },
	TraceHappened: func(p func(string) string) string { return p("type") + " happened (event " + p("event") + "), in time" },
	TraceTimedOut: func(p func(string) string) string { return "the time for " + p("what") + " is over" },
	TraceOfferOpened: func(p func(string) string) string {
		return "offer " + p("offer") + " opened at " + p("price") + by(", locked until ", p("until"))
	},
	TraceOfferSkipped: func(p func(string) string) string { return "offer " + p("offer") + " not made: " + p("reason") },
	TraceOfferTaken: func(p func(string) string) string {
		return "offer " + p("offer") + " taken with order " + p("order") + ", paid " + p("paid")
	},
	TraceOfferRefused: func(p func(string) string) string {
		return "order " + p("order") + " did not get offer " + p("offer") + ": " + p("reason") + "; a person must look, because somebody paid"
	},
	TraceOfferLapsed:   func(p func(string) string) string { return "offer " + p("offer") + " lapsed" },
	TraceOfferWithdraw: func(p func(string) string) string { return "offer " + p("offer") + " withdrawn" },
	TraceOfferOrdered: func(p func(string) string) string {
		return "ordered offer " + p("offer") + " with order " + p("order") + ", paid " + p("paid") + "; it is taken when the team is complete"
	},
	TraceRefundAsked: func(p func(string) string) string {
		return "the shop is asked to pay order " + p("order") + " back, " + p("amount") + ": " + p("reason")
	},
	TraceRefundEnded: func(p func(string) string) string {
		switch RefundState(p("state")) {
		case RefundAccepted:
			return "the shop has taken the request to pay order " + p("order") + " back"
		case RefundUnknown:
			return "whether the shop has taken the request to pay order " + p("order") + " back is NOT known: a person must ask"
		case RefundAsked, RefundRefused, RefundFailed, RefundConfirmed:
		}
		return "order " + p("order") + " was NOT paid back: " + p("reason") + "; a person must look at it"
	},
	TraceUnderpaid: func(p func(string) string) string {
		return "order " + p("order") + " paid " + p("paid") + " for offer " + p("offer") + ", which costs " + p("price") + ": flagged, not taken"
	},
	TraceCurrency: func(p func(string) string) string {
		return "order " + p("order") + " paid " + p("paid") + " for " + p("offer") + ", which costs " + p("price") + ": another currency, so it is flagged, not taken"
	},
	TraceReserved: func(p func(string) string) string {
		return "offer " + p("offer") + " reserved for order " + p("order") + " until " + p("until")
	},
	TraceReleased: func(p func(string) string) string {
		return "order " + p("order") + " gave its reservation of offer " + p("offer") + " up"
	},
	TraceRefunded: func(p func(string) string) string {
		how := map[string]string{EventOrderChargedBack: "charged back"}[p("type")]
		if how == "" {
			how = "refunded"
		}
		if p("amount") == "" {
			return "order " + p("order") + " was " + how
		}
		return p("amount") + " of order " + p("order") + " was " + how
	},
	TraceClawedBack: func(p func(string) string) string {
		if p("pieces") != "" {
			return "took back " + p("pieces") + " of " + p("reward") + by(" from the ", p("from")) + by("; used or over: ", p("gone"))
		}
		return "took back " + p("points") + " points of " + p("reward") + by(" from the ", p("from")) + by(", and ", p("owed")) + map[bool]string{true: " are owed"}[p("owed") != ""]
	},
	TraceGoalReversed: func(p func(string) string) string {
		return "the goal is reversed, because order " + p("order") + " went back"
	},
	TraceRestocked: func(p func(string) string) string { return "the piece of offer " + p("offer") + " is there again" },
	TraceAfterEnd: func(p func(string) string) string {
		return "order " + p("order") + " paid " + p("paid") + " for offer " + p("offer") + " after its end: the list price was " + p("price") + "; flagged"
	},
	TraceLate: func(p func(string) string) string {
		return p("type") + " (event " + p("event") + ") was in time but arrived too late for " + p("what") + ", so it changed nothing"
	},
	TraceGranted: func(p func(string) string) string {
		whose := by(" to the ", p("to"))
		switch {
		case p("benefit") != "" && p("extended") != "":
			return "granted " + p("reward") + whose + ": benefit " + p("benefit") + " goes on" + by(" until ", p("until"))
		case p("benefit") != "":
			return "granted " + p("reward") + whose + ": benefit " + p("benefit") + by(" until ", p("until"))
		case p("coupon") != "":
			return "granted " + p("reward") + whose + ": coupon " + p("coupon") + by(", good until ", p("until"))
		}
		return "granted " + p("reward") + whose + ": " + p("points") + " points"
	},
	TraceNotGranted: func(p func(string) string) string {
		return "reward " + p("reward") + " NOT granted" + by(" to the ", p("to")) + ": " + p("reason")
	},
	TraceReferralQualified: func(p func(string) string) string {
		return "the referral qualified with " + p("type") + " (event " + p("event") + "), held until " + p("until")
	},
	TraceReferralVested: func(p func(string) string) string {
		return "the referral vested, as success " + p("success") + " of its inviter"
	},
	TraceReferralRejected: func(p func(string) string) string { return "the referral was rejected: " + p("reason") },
	TraceReferralExpired: func(p func(string) string) string {
		return "the time for " + p("what") + " is over, the referral expired"
	},
	TraceReferralClawedBack: func(p func(string) string) string {
		return "order " + p("order") + " was refunded (event " + p("event") + "), the referral counts no more"
	},
	TraceReferralRefunded: func(p func(string) string) string {
		return "order " + p("order") + " was refunded (event " + p("event") + "), so it does not count"
	},
	TraceTagged:     func(p func(string) string) string { return "tagged " + p("tags") },
	TraceUntagged:   func(p func(string) string) string { return "untagged " + p("tags") },
	TraceSet:        func(p func(string) string) string { return "set " + p("attribute") },
	TraceChose:      func(p func(string) string) string { return "took the way: " + p("case") },
	TraceExposed:    func(p func(string) string) string { return "split " + p("split") + ": came to arm " + p("arm") },
	TraceRound:      func(p func(string) string) string { return "round " + p("round") + " of " + p("times") + " begins" },
	TraceRoundsOver: func(p func(string) string) string { return "the rounds are over: " + p("reason") },
	TracePassed: func(p func(string) string) string {
		return "does not wait until " + p("what") + by(", which was ", p("until")) + ": that is past"
	},
	TraceJumped: func(p func(string) string) string { return "went to " + p("label") },
	TraceGoal: func(p func(string) string) string {
		return "reached the goal with event " + p("event") + by(", worth ", p("value"))
	},
	TraceExited: func(p func(string) string) string {
		return "left the journey because of " + p("type") + " (event " + p("event") + ")"
	},
	TraceMigrated: func(p func(string) string) string {
		if p("outcome") != "" {
			return "ended by hand at version " + p("from_version") + ", step " + p("from") + ": " + p("outcome")
		}
		return "moved from version " + p("from_version") + ", step " + p("from") + ", to version " + p("to_version") + ", step " + p("to") +
			by(", ", map[string]string{"waits_on": "where the wait goes on", "anew": "which begins anew", "back": "as it stood before"}[p("how")])
	},
	TraceEnded: func(p func(string) string) string { return "the journey ended: " + p("outcome") },
	TraceAsked: func(p func(string) string) string {
		return "asked " + p("message") + ", waits for a reply until " + p("until")
	},
	TraceAnswered: func(p func(string) string) string {
		return "answered " + p("answer") + by(": ", p("value")) + " (event " + p("event") + ")"
	},
	TraceNotUnderstood: func(p func(string) string) string {
		return "a reply fits no answer to " + p("message") + " (event " + p("event") + ")"
	},
	TraceReviewOpened: func(p func(string) string) string {
		return "asked " + p("role") + " for a decision" + by(", until ", p("until"))
	},
	TraceReviewSkipped: func(p func(string) string) string {
		return p("role") + " was NOT asked for a decision: " + p("reason")
	},
	TraceReviewTooLate: func(p func(string) string) string {
		return p("decided") + " by " + p("by") + by(": ", p("why")) + "; the member had left the journey, so it changed nothing"
	},
	TraceReviewBackup: func(p func(string) string) string {
		return p("role") + " did not decide in time; " + p("backup") + " is asked until " + p("until")
	},
	TraceReviewDecided: func(p func(string) string) string {
		return p("decided") + " by " + p("by") + by(" (", closed(p("kind"), ")")) + by(": ", p("why"))
	},
	TraceReviewOver: func(p func(string) string) string {
		return "nobody decided in time, so it counts as " + p("decided")
	},
	TraceReviewDropped: func(func(string) string) string {
		return "the question for a decision was withdrawn, because the member left the journey"
	},
	TraceTeamOpened: func(p func(string) string) string {
		return "opened team " + p("team") + " of " + p("size") + ", until " + p("until")
	},
	TraceTeamJoined: func(p func(string) string) string {
		return "joined team " + p("team") + " as number " + p("joined") + " of " + p("size") + ", until " + p("until")
	},
	TraceTeamNotJoined: func(p func(string) string) string {
		return "did NOT join the team that was asked for" + by(", ", p("team")) + ": " + p("reason")
	},
	TraceTeamSkipped: func(p func(string) string) string {
		return "came into no team: " + p("reason") + "; waits until " + p("until") + " like the others"
	},
	TraceTeamFormed: func(p func(string) string) string {
		return "team " + p("team") + " has all its " + p("size") + " members"
	},
	TraceTeamFailed: func(p func(string) string) string {
		return "the time is over" + by(" and team ", closed(p("team"), " had "+p("joined")+" of "+p("size")+" members"))
	},
	TraceTeamLeft: func(p func(string) string) string { return "left team " + p("team") + " and gave the place back" },
	TraceCalled: func(p func(string) string) string {
		return "called " + p("call") + ", waits for its answer until " + p("until")
	},
	TraceCallSkipped:  func(p func(string) string) string { return p("call") + " was NOT called: " + p("reason") },
	TraceCallAnswered: func(p func(string) string) string { return p("call") + " answered" },
	TraceCallRefused: func(p func(string) string) string {
		return p("call") + " gave no answer: " + p("reason") + by(" – ", p("detail"))
	},
	TraceCallTooLate: func(p func(string) string) string {
		return p("call") + " answered when its time was over, so it changed nothing"
	},
	TraceCallDropped: func(p func(string) string) string {
		return "the call of " + p("call") + " was given up, because the member left the step"
	},
	TracePassedOver: func(p func(string) string) string {
		return "message " + p("message") + " not taken by " + p("channel") + ": " + p("reason") + by("; tried next: ", p("next"))
	},
	TraceFault: func(p func(string) string) string {
		return "the rule at " + p("where") + " could not be decided (" + p("detail") + "), taken as not true"
	},
}

var traceChinese = wording{
	TracePoints: func(p func(string) string) string {
		return "按规则 " + p("rule") + " 得 " + p("points") + " 积分" + by("，少于规则所给：", p("reason"))
	},
	TracePointsTaken: func(p func(string) string) string {
		return "规则 " + p("rule") + " 给的 " + p("points") + " 积分被收回" + by("，其余已不在：", p("short"))
	},
	TracePointsExpired: func(p func(string) string) string { return p("points") + " 积分到期" },
	TraceLevel: func(p func(string) string) string {
		if p("to") == "" {
			return "不再有等级" + by("，此前 ", p("from"))
		}
		return "等级 " + p("to") + by("，此前 ", p("from"))
	},
	TraceEntered: func(p func(string) string) string { return "进入旅程" + by("，起因：", p("by")) },
	TraceHeldOut: func(func(string) string) string { return "属于对照组：只统计，不发送、不发奖" },
	TraceStep:    func(p func(string) string) string { return "来到步骤：" + p("name") },
	TraceSend: func(p func(string) string) string {
		return "消息 " + p("message") + " 交给 " + p("channel") + " 发送"
	},
	TraceNotSent: func(p func(string) string) string {
		return "消息 " + p("message") + " 未发送：" + p("reason") + by(" – ", p("detail"))
	},
	TraceDelayed: func(p func(string) string) string {
		return "消息 " + p("message") + " 延后到 " + p("until") + "：" + p("reason")
	},
	TraceWaiting: func(p func(string) string) string { return "等待 " + p("what") + "，至 " + p("until") },
	TraceHappened: func(p func(string) string) string {
		return "按时发生 " + p("type") + "（事件 " + p("event") + "）"
	},
	TraceTimedOut: func(p func(string) string) string { return "等待 " + p("what") + " 的时间已过" },
	TraceOfferOpened: func(p func(string) string) string {
		return "优惠 " + p("offer") + " 以 " + p("price") + " 开启" + by("，锁价至 ", p("until"))
	},
	TraceOfferSkipped: func(p func(string) string) string { return "未提供优惠 " + p("offer") + "：" + p("reason") },
	TraceOfferTaken: func(p func(string) string) string {
		return "以订单 " + p("order") + " 领取优惠 " + p("offer") + "，实付 " + p("paid")
	},
	TraceOfferRefused: func(p func(string) string) string {
		return "订单 " + p("order") + " 未能取得优惠 " + p("offer") + "：" + p("reason") + "；已付款，需人工处理"
	},
	TraceOfferLapsed:   func(p func(string) string) string { return "优惠 " + p("offer") + " 过期" },
	TraceOfferWithdraw: func(p func(string) string) string { return "优惠 " + p("offer") + " 撤回" },
	TraceOfferOrdered: func(p func(string) string) string {
		return "以订单 " + p("order") + " 参加优惠 " + p("offer") + " 的团，实付 " + p("paid") + "，成团后生效"
	},
	TraceRefundAsked: func(p func(string) string) string {
		return "请商城退还订单 " + p("order") + " 的 " + p("amount") + "：" + p("reason")
	},
	TraceRefundEnded: func(p func(string) string) string {
		switch RefundState(p("state")) {
		case RefundAccepted:
			return "商城已受理订单 " + p("order") + " 的退款"
		case RefundUnknown:
			return "商城是否受理订单 " + p("order") + " 的退款尚不清楚，需人工核实"
		case RefundAsked, RefundRefused, RefundFailed, RefundConfirmed:
		}
		return "订单 " + p("order") + " 未能退款：" + p("reason") + "，需人工处理"
	},
	TraceUnderpaid: func(p func(string) string) string {
		return "订单 " + p("order") + " 为优惠 " + p("offer") + " 实付 " + p("paid") + "，应付 " + p("price") + "：已标记，不算领取"
	},
	TraceCurrency: func(p func(string) string) string {
		return "订单 " + p("order") + " 为 " + p("offer") + " 实付 " + p("paid") + "，应付 " + p("price") + "：币种不符，已标记，不算领取"
	},
	TraceReserved: func(p func(string) string) string {
		return "优惠 " + p("offer") + " 为订单 " + p("order") + " 保留至 " + p("until")
	},
	TraceReleased: func(p func(string) string) string {
		return "订单 " + p("order") + " 放弃保留优惠 " + p("offer")
	},
	TraceRefunded: func(p func(string) string) string {
		how := map[string]string{EventOrderChargedBack: "拒付"}[p("type")]
		if how == "" {
			how = "退款"
		}
		return "订单 " + p("order") + " 已" + how + by(" ", p("amount"))
	},
	TraceClawedBack: func(p func(string) string) string {
		from := by("从", chineseReceiver(p("from")))
		if p("pieces") != "" {
			return from + "收回 " + p("reward") + "：" + p("pieces") + " 份" + by("，已用或已到期 ", p("gone"))
		}
		return from + "收回 " + p("reward") + "：" + p("points") + " 积分" + by("，欠 ", p("owed"))
	},
	TraceGoalReversed: func(p func(string) string) string { return "订单 " + p("order") + " 已退，目标撤销" },
	TraceRestocked:    func(p func(string) string) string { return "优惠 " + p("offer") + " 的库存已退回" },
	TraceAfterEnd: func(p func(string) string) string {
		return "订单 " + p("order") + " 在优惠 " + p("offer") + " 结束后付 " + p("paid") + "，当时原价 " + p("price") + "：已标记"
	},
	TraceLate: func(p func(string) string) string {
		return p("type") + "（事件 " + p("event") + "）发生及时但到达太晚，错过 " + p("what") + "，未改变任何步骤"
	},
	TraceGranted: func(p func(string) string) string {
		to := by("给", chineseReceiver(p("to")))
		switch {
		case p("benefit") != "" && p("extended") != "":
			return to + "发放 " + p("reward") + "：权益 " + p("benefit") + " 延长" + by("至 ", p("until"))
		case p("benefit") != "":
			return to + "发放 " + p("reward") + "：权益 " + p("benefit") + by("，至 ", p("until"))
		case p("coupon") != "":
			return to + "发放 " + p("reward") + "：券 " + p("coupon") + by("，有效期至 ", p("until"))
		}
		return to + "发放 " + p("reward") + "：" + p("points") + " 积分"
	},
	TraceNotGranted: func(p func(string) string) string {
		return "奖励 " + p("reward") + " 未发放" + by("给", chineseReceiver(p("to"))) + "：" + p("reason")
	},
	TraceReferralQualified: func(p func(string) string) string {
		return "邀请达标：" + p("type") + "（事件 " + p("event") + "），奖励保留至 " + p("until")
	},
	TraceReferralVested: func(p func(string) string) string {
		return "邀请生效，是邀请人的第 " + p("success") + " 次成功"
	},
	TraceReferralRejected: func(p func(string) string) string { return "邀请被驳回：" + p("reason") },
	TraceReferralExpired:  func(p func(string) string) string { return "等待 " + p("what") + " 的时间已过，邀请失效" },
	TraceReferralClawedBack: func(p func(string) string) string {
		return "订单 " + p("order") + " 退款（事件 " + p("event") + "），邀请不再算数"
	},
	TraceReferralRefunded: func(p func(string) string) string {
		return "订单 " + p("order") + " 已退款（事件 " + p("event") + "），不算数"
	},
	TraceTagged:   func(p func(string) string) string { return "打标签 " + p("tags") },
	TraceUntagged: func(p func(string) string) string { return "去标签 " + p("tags") },
	TraceSet:      func(p func(string) string) string { return "设置 " + p("attribute") },
	TraceChose:    func(p func(string) string) string { return "走分支：" + p("case") },
	TraceExposed:  func(p func(string) string) string { return "分流 " + p("split") + "：进入 " + p("arm") + " 组" },
	TraceRound: func(p func(string) string) string {
		return "第 " + p("round") + " 轮开始，共 " + p("times") + " 轮"
	},
	TraceRoundsOver: func(p func(string) string) string { return "循环结束：" + p("reason") },
	TracePassed: func(p func(string) string) string {
		return "不等待 " + p("what") + by("，即 ", p("until")) + "：时间已过"
	},
	TraceJumped: func(p func(string) string) string { return "跳到 " + p("label") },
	TraceGoal: func(p func(string) string) string {
		return "达成目标（事件 " + p("event") + "）" + by("，价值 ", p("value"))
	},
	TraceExited: func(p func(string) string) string {
		return "因 " + p("type") + "（事件 " + p("event") + "）离开旅程"
	},
	TraceMigrated: func(p func(string) string) string {
		if p("outcome") != "" {
			return "在版本 " + p("from_version") + " 的步骤 " + p("from") + " 被人工结束：" + p("outcome")
		}
		return "从版本 " + p("from_version") + " 的步骤 " + p("from") + " 迁移到版本 " + p("to_version") + " 的步骤 " + p("to") +
			by("，", map[string]string{"waits_on": "继续原来的等待", "anew": "重新开始该步骤", "back": "恢复到之前的状态"}[p("how")])
	},
	TraceEnded: func(p func(string) string) string { return "旅程结束：" + p("outcome") },
	TraceAsked: func(p func(string) string) string {
		return "提问 " + p("message") + "，等待回复至 " + p("until")
	},
	TraceAnswered: func(p func(string) string) string {
		return "回答 " + p("answer") + by("：", p("value")) + "（事件 " + p("event") + "）"
	},
	TraceNotUnderstood: func(p func(string) string) string {
		return "回复不符合 " + p("message") + " 的任何答案（事件 " + p("event") + "）"
	},
	TraceReviewOpened: func(p func(string) string) string {
		return "请 " + p("role") + " 审核" + by("，至 ", p("until"))
	},
	TraceReviewSkipped: func(p func(string) string) string {
		return "未请 " + p("role") + " 审核：" + p("reason")
	},
	TraceReviewTooLate: func(p func(string) string) string {
		return p("by") + " 审核：" + chineseDecision(p("decided")) + by("，理由：", p("why")) + "；会员已离开旅程，未改变任何步骤"
	},
	TraceReviewBackup: func(p func(string) string) string {
		return p("role") + " 未按时审核，改请 " + p("backup") + "，至 " + p("until")
	},
	TraceReviewDecided: func(p func(string) string) string {
		return p("by") + " 审核" + by("（", closed(p("kind"), "）")) + "：" + chineseDecision(p("decided")) + by("，理由：", p("why"))
	},
	TraceReviewOver: func(p func(string) string) string {
		return "无人按时审核，视为" + chineseDecision(p("decided"))
	},
	TraceReviewDropped: func(func(string) string) string { return "会员已离开旅程，审核撤回" },
	TraceTeamOpened: func(p func(string) string) string {
		return "开队 " + p("team") + "，需 " + p("size") + " 人，至 " + p("until")
	},
	TraceTeamJoined: func(p func(string) string) string {
		return "加入队伍 " + p("team") + "，现有 " + p("joined") + "/" + p("size") + " 人，至 " + p("until")
	},
	TraceTeamNotJoined: func(p func(string) string) string {
		return "未能加入想加入的队伍" + by(" ", p("team")) + "：" + p("reason")
	},
	TraceTeamSkipped: func(p func(string) string) string {
		return "未进入队伍：" + p("reason") + "；同样等到 " + p("until")
	},
	TraceTeamFormed: func(p func(string) string) string { return "队伍 " + p("team") + " 已满 " + p("size") + " 人" },
	TraceTeamFailed: func(p func(string) string) string {
		return "时间已到" + by("，队伍 ", closed(p("team"), " 只有 "+p("joined")+"/"+p("size")+" 人"))
	},
	TraceTeamLeft: func(p func(string) string) string { return "离开队伍 " + p("team") + "，让出名额" },
	TraceCalled: func(p func(string) string) string {
		return "调用 " + p("call") + "，等待应答至 " + p("until")
	},
	TraceCallSkipped:  func(p func(string) string) string { return "未调用 " + p("call") + "：" + p("reason") },
	TraceCallAnswered: func(p func(string) string) string { return p("call") + " 已应答" },
	TraceCallRefused: func(p func(string) string) string {
		return p("call") + " 没有给出应答：" + p("reason") + by(" – ", p("detail"))
	},
	TraceCallTooLate: func(p func(string) string) string { return p("call") + " 应答时已超时，不影响旅程" },
	TraceCallDropped: func(p func(string) string) string { return "会员已离开该步骤，放弃调用 " + p("call") },
	TracePassedOver: func(p func(string) string) string {
		return "消息 " + p("message") + " 未由 " + p("channel") + " 发送：" + p("reason") + by("；改用 ", p("next"))
	},
	TraceFault: func(p func(string) string) string {
		return "位于 " + p("where") + " 的规则无法判定（" + p("detail") + "），按不成立处理"
	},
}

func by(lead, s string) string {
	if s == "" {
		return ""
	}
	return lead + s
}

// closed puts an end to a text, if there is one.
func closed(s, end string) string {
	if s == "" {
		return ""
	}
	return s + end
}

func chineseReceiver(to string) string {
	if to == ToInviter {
		return "邀请人"
	}
	return to
}

func chineseDecision(state string) string {
	switch ReviewState(state) {
	case ReviewApproved:
		return "通过"
	case ReviewRejected:
		return "拒绝"
	case ReviewOpen, ReviewWithdrawn:
	}
	return state
}
