package rules

import (
	"container/list"
	"sync"
)

// maxCached is how many compiled expressions an Env keeps. A large campaign has some
// hundreds; a program takes about 5 KB, so the bound is some megabytes.
const maxCached = 1000

type cacheKey struct {
	src, scope string
	want       Want
	template   bool
}

// compiled is what came of an expression or a template: it, or its issues.
type compiled struct {
	expr     *Expr
	template *Template
	issues   []Issue
}

// cache keeps what was used last.
type cache struct {
	mu      sync.Mutex
	size    int
	order   *list.List // of cacheEntry, the last used first
	entries map[cacheKey]*list.Element
}

type cacheEntry struct {
	key   cacheKey
	value compiled
}

func newCache(size int) *cache {
	return &cache{size: size, order: list.New(), entries: map[cacheKey]*list.Element{}}
}

func (c *cache) get(key cacheKey) (compiled, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[key]
	if !ok {
		return compiled{}, false
	}
	c.order.MoveToFront(el)
	entry, ok := el.Value.(cacheEntry)
	return entry.value, ok
}

func (c *cache) put(key cacheKey, value compiled) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[key]; ok {
		el.Value = cacheEntry{key, value}
		c.order.MoveToFront(el)
		return
	}
	c.entries[key] = c.order.PushFront(cacheEntry{key, value})
	if c.order.Len() <= c.size {
		return
	}
	oldest := c.order.Back()
	if entry, ok := oldest.Value.(cacheEntry); ok {
		delete(c.entries, entry.key)
	}
	c.order.Remove(oldest)
}
