package starter

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// CouponAnswer is a coupon as it stands. Whoever asks knows its code; nobody learns it here.
type CouponAnswer struct {
	Code          string               `json:"code" doc:"Its last characters"`
	Campaign      string               `json:"campaign"`
	Reward        string               `json:"reward"`
	Member        string               `json:"member" doc:"Who was granted it"`
	State         campaign.CouponState `json:"state" enum:"granted,redeemed,expired,voided"`
	Value         *store.Amount        `json:"value,omitempty" doc:"What it is worth, where the campaign says so"`
	GrantedAt     time.Time            `json:"granted_at" doc:"On the campaign's clock"`
	EndsAt        *time.Time           `json:"ends_at,omitempty" doc:"Good until then, on the campaign's clock; absent: for ever"`
	Order         string               `json:"order,omitempty" doc:"That it is reserved for, or was redeemed with"`
	ReservedUntil *time.Time           `json:"reserved_until,omitempty" doc:"Present while it is reserved"`
	ClosedAt      *time.Time           `json:"closed_at,omitempty" doc:"When it was redeemed, expired or was voided"`
}

// CouponReservation reserves a coupon for an order.
type CouponReservation struct {
	Order string `json:"order" minLength:"1" maxLength:"128" doc:"Your own id of the order that is paid with it"`
	For   string `json:"for,omitempty" maxLength:"40" doc:"How long it stays reserved, 1s to 30d; 15m unless told"`
}

// CouponOrder says which order ends the reservation of a coupon.
type CouponOrder struct {
	Order string `json:"order" minLength:"1" maxLength:"128" doc:"The one that it is reserved for"`
}

// CouponPath names a coupon by its code.
type CouponPath struct {
	Code string `path:"code" maxLength:"512" doc:"The code as somebody typed it. Of generated ones, small letters, blanks and hyphens do not matter"`
}

// CouponList is a member's coupons.
type CouponList struct {
	Coupons []store.CouponLine `json:"coupons"`
}

// BenefitList is what a member is and was entitled to.
type BenefitList struct {
	Benefits []store.BenefitLine `json:"benefits"`
}

// PoolPath names the pool of a reward.
type PoolPath struct {
	Campaign string `path:"campaign" doc:"The campaign's name"`
	Reward   string `path:"reward" doc:"The name of a reward whose codes come from a pool"`
}

const tagCoupons = "coupons"

func (s *Server) registerCoupons() {
	handle(s, operation{
		id: "import-coupons", method: http.MethodPost, path: "/v1/campaigns/{campaign}/rewards/{reward}/coupons", tag: tagCoupons, scope: store.ScopeCampaignsWrite,
		summary: "Import codes into the pool of a reward",
		detail: "The body is a CSV file of up to 20 million lines, read while it arrives; the first column is the code, and the first line may be a heading. It is stored in parts: a file that broke off " +
			"is sent again, and codes that are known change nothing. The Idempotency-Key is not heeded.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity},
		body:   textBody("One code a line", map[string]*huma.Schema{"text/csv": {Type: huma.TypeString}}),
	}, s.importCoupons)
	handle(s, operation{
		id: "get-coupon", method: http.MethodGet, path: "/v1/coupons/{code}", tag: tagCoupons, scope: store.ScopeMembersRead,
		summary: "How a coupon stands", detail: "A code that nobody was given is not found, be it in a pool or not.",
		errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *CouponPath) (*answer[CouponAnswer], error) {
		return couponAnswered(s.store.Coupon(ctx, in.Code))
	})
	handle(s, operation{
		id: "reserve-coupon", method: http.MethodPost, path: "/v1/coupons/{code}/redemption", tag: tagCoupons, scope: store.ScopeMembersWrite,
		summary: "Reserve a coupon for an order", status: http.StatusCreated,
		detail: "Until it is captured or cancelled, or the reservation ends, no other order can use it, and it does not expire. The same again is answered as it stands. 409 says why it cannot be used.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, s.reserveCoupon)
	end := func(id, path, summary, detail string, do func(ctx context.Context, code, order string) (store.Coupon, error)) {
		handle(s, operation{
			id: id, method: http.MethodPost, path: "/v1/coupons/{code}/redemption" + path, tag: tagCoupons, scope: store.ScopeMembersWrite,
			summary: summary, detail: detail,
			errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
		}, func(ctx context.Context, in *struct {
			CouponPath
			Body CouponOrder
		},
		) (*answer[CouponAnswer], error) {
			return couponAnswered(do(ctx, in.Code, in.Body.Order))
		})
	}
	end("capture-coupon", "/capture", "Redeem a coupon with the order that it is reserved for",
		"Again is answered the same. 409 says that it is not reserved for this order, or why it cannot be used.", s.store.CaptureCoupon)
	end("cancel-coupon", "/cancel", "Give a coupon that is reserved for an order back to its member",
		"Again is answered the same, and so is one that is not reserved. 409 says that it is reserved for another order, or was redeemed or voided.", s.store.CancelCoupon)

	of := func(what, summary string) operation {
		return operation{
			id: "member-" + what, method: http.MethodGet, path: "/v1/members/{member}/" + what, tag: tagMembers,
			scope: store.ScopeMembersRead, summary: summary, errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
		}
	}
	handle(s, of("coupons", "The coupons that a member was granted, the newest first"), func(ctx context.Context, in *MemberPath) (*answer[CouponList], error) {
		list, err := ofMember(ctx, in, s.store.MemberCoupons)
		return &answer[CouponList]{CouponList{notNil(list)}}, err
	})
	handle(s, of("benefits", "What a member is and was entitled to"), func(ctx context.Context, in *MemberPath) (*answer[BenefitList], error) {
		list, err := ofMember(ctx, in, s.store.MemberBenefits)
		return &answer[BenefitList]{BenefitList{notNil(list)}}, err
	})
}

func (s *Server) reserveCoupon(ctx context.Context, in *struct {
	CouponPath
	Body CouponReservation
},
) (*answer[CouponAnswer], error) {
	if why := checkID(in.Body.Order); why != "" {
		return nil, problem(http.StatusUnprocessableEntity, "the coupon cannot be reserved", ProblemDetail{Path: "order", Message: "the id cannot be used: " + why})
	}
	span := defaultReservation
	if in.Body.For != "" {
		var err error
		if span, err = campaign.ParseDuration(in.Body.For); err != nil {
			return nil, problem(http.StatusUnprocessableEntity, "the coupon cannot be reserved", ProblemDetail{Path: "for", Message: err.Error()})
		}
	}
	return couponAnswered(s.store.ReserveCoupon(ctx, in.Code, in.Body.Order, span))
}

func couponAnswered(c store.Coupon, err error) (*answer[CouponAnswer], error) {
	if err != nil {
		return nil, err
	}
	out := CouponAnswer{
		Code: c.Masked, Campaign: c.Campaign, Reward: c.Reward, Member: c.Member, State: c.State, GrantedAt: c.GrantedAt, EndsAt: orNil(c.EndsAt),
		Order: c.Order, ReservedUntil: orNil(c.HeldUntil), ClosedAt: orNil(c.ClosedAt),
	}
	if !c.Value.IsZero() {
		value := store.AmountOf(c.Value)
		out.Value = &value
	}
	return &answer[CouponAnswer]{out}, nil
}

func (s *Server) importCoupons(ctx context.Context, in *PoolPath) (*answer[store.Imported], error) {
	from, ok := ctx.Value(contextStream).(stream)
	if !ok {
		return nil, campaign.Errorf(campaign.CodeInternal, "the request has no body to read")
	}
	from.patience()
	out, err := s.store.ImportCoupons(ctx, in.Campaign, in.Reward, from.body, from.patience)
	if err != nil {
		return nil, err
	}
	return &answer[store.Imported]{out}, nil
}

// stream is a body that is read while it arrives.
type stream struct {
	body    io.ReadCloser
	control *http.ResponseController
}

// streamPatience is for how long a caller may send nothing new.
const streamPatience = time.Minute

// patience lets the caller go on: the server's own limits are for requests of one piece.
func (s stream) patience() {
	until := time.Now().Add(streamPatience)
	_ = s.control.SetReadDeadline(until) // where it cannot be set the server's own limits hold
	_ = s.control.SetWriteDeadline(until.Add(streamPatience))
}

// streams reports whether a request's body is read by its handler.
func streams(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1/campaigns/")
	if !ok || r.Method != http.MethodPost || r.Body == nil {
		return false
	}
	parts := strings.Split(rest, "/")
	return len(parts) == 4 && parts[1] == "rewards" && parts[3] == "coupons"
}
