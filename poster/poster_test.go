package poster_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/banyanhq/banyan/poster"
)

var update = flag.Bool("update", false, "write the kept posters anew")

const link = "https://banyan.shop.example.com/r/7KQM4X2HPF?a=EABrjp91DGJyaW5nLWZyaWVuZAdpbnZpdGVlBnBvc3Rlcgo3S1FNNFgySFBG1von6ekowZUdlshhi9ZhUg"

// The posters that are kept as pictures, to be looked at and compared with.
var kept = map[string]poster.Content{
	"chinese": {
		Inviter: "小林邀请你", Title: "带朋友来练，一起免费一周", Lines: []string{"新朋友：7 天通练卡，限首次到店", "你的朋友：到店满 48 小时后得 200 积分", "每人一次，3 月 31 日前有效"},
		Link: link, Code: "7KQM4-X2HPF", Hint: "长按识别二维码，或到店报邀请码",
	},
	"latin": {
		Title: "Bring a friend", Lines: []string{"First month free for both of you", "Cancel at any time", "Offer ends 31 March"}, Link: "https://b.example.com/r/7KQM4X2HPF", Hint: "Scan to join",
		Accent: "#F5C518",
	},
	"long": {
		Inviter: "一位朋友 🎉 邀请你", Title: "春季阅读节：和孩子一起读完十本书，每完成一本都可以领取一枚纪念徽章，集齐十枚再得全年会员（数量有限，先到先得）",
		Lines: []string{
			"第一本书免费领取，邮费由我们承担；家长与孩子均可参加，每个家庭限领一份。",
			"The second book is Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft and more",
			"邀请满 3 位朋友得「全年会员」，价值 ¥399.00——不可转让、不可折现……", "活动时间：2027-03-01 至 2027-03-31", "规则以公布为准", "第六条" + strings.Repeat("很长", 40),
		},
		Link: "https://example.com/abc", Code: "23456-789CD", Accent: "#B3261E",
	},
	"short": {Title: "扫码领取开学礼", Link: "https://example.com/abc", Hint: "长按识别二维码", Accent: "#1D4ED8"},
}

// A poster is the same picture as the one that was looked at, whose pixels are kept. Bytes are not
// compared with those kept: how tightly PNG is packed may differ with Go's version.
func TestPostersAreAsKept(t *testing.T) {
	t.Parallel()
	for name, c := range kept {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quick(t, name == "chinese")
			drawn, err := poster.PNG(c)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".png")
			if *update {
				if err := os.WriteFile(file, drawn, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, got := decode(t, golden), decode(t, drawn)
			if got.Bounds() != want.Bounds() || got.Bounds() != image.Rect(0, 0, poster.Width, poster.Height) {
				t.Fatalf("the picture is %v, was %v", got.Bounds(), want.Bounds())
			}
			differ := 0
			for i := range got.Pix {
				if got.Pix[i] != want.Pix[i] {
					differ++
				}
			}
			if differ > 0 {
				t.Errorf("%d bytes of pixels differ from %s; look at the new picture, and keep it with -update", differ, file)
			}
		})
	}
}

// quick leaves out what draws many pictures: the race detector makes each take seconds.
func quick(t *testing.T, stays bool) {
	t.Helper()
	if testing.Short() && !stays {
		t.Skip("draws many pictures")
	}
}

func decode(t testing.TB, data []byte) *image.RGBA {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	rgba, ok := img.(*image.RGBA)
	if !ok {
		t.Fatalf("the picture is a %T", img)
	}
	return rgba
}

// scan reads the QR code in a picture with a decoder that shares nothing with what drew it.
func scan(t testing.TB, img image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		t.Fatalf("the code cannot be scanned: %v", err)
	}
	return result.GetText()
}

func TestCodesCanBeScanned(t *testing.T) {
	t.Parallel()
	quick(t, false)
	for name, c := range kept {
		data, err := poster.PNG(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := scan(t, decode(t, data)); got != c.Link {
			t.Errorf("%s: the code leads to %s, want %s", name, got, c.Link)
		}
	}
	// Links short and long, on the small place and on the large one; Chinese in the path too.
	for _, n := range []int{12, 200, poster.MaxLink} {
		for _, lines := range [][]string{nil, {"优惠"}} {
			c := poster.Content{Title: "标题", Lines: lines, Link: "https://a.b/"}
			c.Link += strings.Repeat("x9-榕", n)[:n-len(c.Link)]
			c.Link = strings.ToValidUTF8(c.Link, "_")
			data, err := poster.PNG(c)
			if err != nil {
				t.Fatal(err)
			}
			if got := scan(t, decode(t, data)); got != c.Link {
				t.Errorf("%d bytes: %s, want %s", n, got, c.Link)
			}
		}
	}
}

// The same content gives the same bytes, also when posters are drawn at once.
func TestPostersAreDeterministic(t *testing.T) {
	t.Parallel()
	want := map[string][]byte{}
	for name, c := range kept {
		if testing.Short() && name != "short" {
			continue
		}
		data, err := poster.PNG(c)
		if err != nil {
			t.Fatal(err)
		}
		want[name] = data
	}
	var all sync.WaitGroup
	for range 2 {
		for name := range want {
			all.Go(func() {
				if data, err := poster.PNG(kept[name]); err != nil || !bytes.Equal(data, want[name]) {
					t.Errorf("%s: drawn again it differs (%v)", name, err)
				}
			})
		}
	}
	all.Wait()
}

func TestRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 2000)
	for says, change := range map[string]func(*poster.Content){
		"the title is missing":                func(c *poster.Content) { c.Title = " 🎉 " },
		"2000 bytes, at most 1000":            func(c *poster.Content) { c.Title = long },
		"2000 bytes, at most 1000 are read":   func(c *poster.Content) { c.Lines = []string{"x", long} },
		"no UTF-8":                            func(c *poster.Content) { c.Hint = "\xff" },
		"13 lines, at most 12":                func(c *poster.Content) { c.Lines = make([]string, 13) },
		"no address that begins with https":   func(c *poster.Content) { c.Link = "" },
		"the link is no address that begins":  func(c *poster.Content) { c.Link = "javascript:alert(1)" },
		"no address that begins with https:/": func(c *poster.Content) { c.Link = "https://a.b/ c" },
		"link is no address":                  func(c *poster.Content) { c.Link = "https://a.b/\x00" },
		"the link is no":                      func(c *poster.Content) { c.Link = "/r/7KQM4" },
		"the link has 513 bytes, at most 512": func(c *poster.Content) { c.Link = ("https://a.b/" + long)[:513] },
		`the accent "green"`:                  func(c *poster.Content) { c.Accent = "green" },
		`the accent "#12345"`:                 func(c *poster.Content) { c.Accent = "#12345" },
		`the accent "#+12345"`:                func(c *poster.Content) { c.Accent = "#+12345" },
	} {
		c := kept["chinese"]
		change(&c)
		data, err := poster.PNG(c)
		if !errors.Is(err, poster.ErrContent) || data != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%d bytes, %v; want %s", len(data), err, says)
		}
		if again := c.Check(); again == nil || again.Error() != err.Error() {
			t.Errorf("Check says %v, PNG says %v", again, err)
		}
	}
	if err := kept["chinese"].Check(); err != nil {
		t.Error(err)
	}
}

// Any colour can be the accent; the text on it stays readable.
func TestAccents(t *testing.T) {
	t.Parallel()
	quick(t, false)
	for _, accent := range []string{"#000000", "#ffffff", "#FF0000", "#00ff00", "#808080", "#0B6E4F"} {
		c := kept["short"]
		c.Accent, c.Inviter, c.Lines = accent, "朋友邀请你", []string{"优惠"}
		data, err := poster.PNG(c)
		if err != nil {
			t.Fatal(err)
		}
		// In the title's box the darkest and the lightest are far apart.
		img, least, most := decode(t, data), uint32(1<<17), uint32(0)
		for y := 232; y < 592; y++ {
			for x := 300; x < 700; x++ {
				r, g, b, _ := img.At(x, y).RGBA()
				v := (r*299 + g*587 + b*114) / 1000
				least, most = min(least, v), max(most, v)
			}
		}
		if most-least < 0x5000 {
			t.Errorf("on %s the title is hard to read: %x to %x", accent, least, most)
		}
	}
}

func FuzzPNG(f *testing.F) {
	f.Add("小林", "带朋友来练", "7 天——", "https://a.b/c", "7KQM4-X2HPF", "#0B6E4F")
	f.Add("", strings.Repeat("（", 300), strings.Repeat("a", 900), link, strings.Repeat("W", 300), "")
	f.Add("\x00", "👩‍👩‍👧", "……——", "http://x", " ", "#ffffff")
	f.Fuzz(func(t *testing.T, inviter, title, line, to, code, accent string) {
		data, err := poster.PNG(poster.Content{Inviter: inviter, Title: title, Lines: []string{line, title, inviter, line}, Link: to, Code: code, Hint: line, Accent: accent})
		if (err == nil) != (data != nil) || err != nil && !errors.Is(err, poster.ErrContent) {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
	})
}

func ExamplePNG() {
	picture, err := poster.PNG(poster.Content{
		Inviter: "朋友邀请你", Title: "带朋友来练，一起免费一周", Lines: []string{"新朋友：7 天通练卡"}, Link: "https://shop.example.com/r/7KQM4X2HPF", Code: "7KQM4-X2HPF", Hint: "长按识别二维码",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	size, err := png.DecodeConfig(bytes.NewReader(picture))
	fmt.Println(size.Width, size.Height, err)
	// Output: 1080 1920 <nil>
}

func BenchmarkPNG(b *testing.B) {
	for b.Loop() {
		if _, err := poster.PNG(kept["chinese"]); err != nil {
			b.Fatal(err)
		}
	}
}
