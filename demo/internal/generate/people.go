package generate

import (
	"fmt"
	"time"
)

// person is one member of the club.
type person struct {
	id, name, city, level string
	tags                  []string
	joined                time.Time
}

// members is how many the file has; staff how many of them work in the club.
const (
	members = 300
	staff   = 12
)

var (
	surnames = []string{
		"王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭", "何", "林", "高", "罗",
		"郑", "梁", "谢", "宋", "唐", "许", "韩", "冯", "邓", "曹", "彭", "曾", "肖", "田", "董", "潘", "袁", "蔡", "蒋", "余",
		"欧阳", "司徒",
	}
	givenNames = []string{
		"伟", "芳", "娜", "敏", "静", "磊", "洋", "艳", "勇", "杰", "娟", "涛", "明", "超", "霞", "平", "刚", "桂英", "子涵", "欣怡",
		"梓轩", "雨桐", "浩然", "思远", "佳琪", "一诺", "宇航", "诗涵", "晓彤", "俊杰", "嘉怡", "文博", "雅婷", "志强", "海燕", "建华",
		"若曦", "子墨", "天佑", "可欣", "博文", "美玲", "振宇", "婉清", "泽宇", "雪梅", "立新", "安琪", "鹏飞", "丽娟",
	}
	cities = []string{"上海", "上海", "上海", "杭州", "杭州", "苏州", "南京", "北京", "深圳", "成都"}
	levels = []string{"bronze", "bronze", "bronze", "silver", "silver", "gold"}
)

// people makes up the members, in the order of their ids.
func people(c *chance) []person {
	list := make([]person, members)
	for i := range list {
		p := person{
			id:   fmt.Sprintf("m-%d", 1001+i),
			name: of(c, surnames) + of(c, givenNames),
			city: of(c, cities), level: of(c, levels),
			joined: Start.AddDate(0, 0, -400+c.below(400)).Add(-time.Duration(c.below(8*60)) * time.Minute),
		}
		if i%(members/staff) == 7 {
			p.tags = append(p.tags, "staff")
		}
		if c.below(6) == 0 {
			p.tags = append(p.tags, "app")
		}
		list[i] = p
	}
	return list
}
