package config

import (
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// kind tells nodes apart.
type kind uint8

const (
	scalar kind = iota
	mapping
	sequence
)

func (k kind) String() string {
	return [...]string{"text", "a mapping", "a list"}[k]
}

// node is a value of the file: what is left of YAML when styles, tags, anchors,
// aliases and merge keys are resolved. An alias is the very node of its anchor.
type node struct {
	kind kind
	// null marks a scalar that is null; its text is empty.
	null bool
	// bad marks a null that stands for something wrong and reported.
	bad bool
	at  Position
	// text is a scalar as written, quotes and escapes resolved.
	text    string
	entries []entry
	items   []*node
	// weight is the number of nodes that a walk over this one meets.
	weight int
}

// empty says whether the node says nothing: null, "", {} or [].
func (n *node) empty() bool {
	return n.kind == scalar && n.text == "" || n.kind != scalar && len(n.entries) == 0 && len(n.items) == 0
}

// entry is one key of a mapping with its value.
type entry struct {
	// key is what is still to be matched of the key, head what was matched last
	// and written all of it.
	key, head, written string
	at                 Position
	// rank is 0 for a key of the mapping itself and greater for one that came
	// by a merge key, where the lower rank wins.
	rank int
	// owner is the mapping in which the key is written.
	owner *node
	value *node
}

// Bounds on a file beyond its size.
const (
	maxDepth  = 64      // of nested mappings and lists
	maxWeight = 500_000 // nodes, each alias counted as often as it is used
)

// builder turns the tree of the YAML library into nodes.
type builder struct {
	// problem reports a problem; the build goes on.
	problem func(at Position, rule, message string)
	place   func(line, column int) Position
	anchors map[string]*node
	// hidden says that the value of a secret is being built.
	hidden bool
	// full is set once the tree is larger than its bound.
	full bool
}

// build returns the node for n; a node that is wrong is reported and null.
func (b *builder) build(n ast.Node, depth int) *node {
	if n == nil || b.full {
		return nullAt(b.place(1, 1))
	}
	at := b.at(n)
	if depth > maxDepth {
		b.problem(at, ruleSize, "mappings and lists are nested more than 64 deep here")
		return badAt(at)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return b.mapping(n.Values, b.place(mappingStart(n)), depth)
	case *ast.MappingValueNode:
		return b.mapping([]*ast.MappingValueNode{n}, b.at(n.Key), depth)
	case *ast.SequenceNode:
		list := &node{kind: sequence, at: at, weight: 1}
		for _, item := range n.Values {
			list.add(b.build(item, depth+1))
		}
		b.bound(list)
		return list
	case *ast.AnchorNode:
		value := b.build(n.Value, depth)
		if n.Name != nil {
			b.anchors[n.Name.GetToken().Value] = value
		}
		return value
	case *ast.AliasNode:
		return b.alias(n, at)
	case *ast.TagNode:
		return b.tag(n, at, depth)
	case *ast.NullNode:
		return nullAt(at)
	case *ast.LiteralNode:
		return &node{at: at, text: n.Value.Value, weight: 1}
	case ast.ScalarNode:
		return &node{at: at, text: n.GetToken().Value, weight: 1}
	default:
		b.problem(at, ruleSyntax, "this kind of YAML has no place in a configuration: "+n.Type().YAMLName())
		return badAt(at)
	}
}

// mapping builds a mapping. Keys of the mapping itself come first, in order.
func (b *builder) mapping(values []*ast.MappingValueNode, at Position, depth int) *node {
	m := &node{kind: mapping, at: at, weight: 1}
	var merges []*ast.MappingValueNode
	for _, pair := range values {
		if pair.Key.IsMergeKey() {
			merges = append(merges, pair)
			continue
		}
		key, ok := b.key(pair.Key)
		outer := b.hidden
		b.hidden = outer || isSecretKey(key)
		value := b.build(pair.Value, depth+1)
		b.hidden = outer
		if !ok {
			continue
		}
		keyAt := b.at(pair.Key)
		if value.null {
			value.at = keyAt // the library places an absent value behind the line
		}
		m.entries = append(m.entries, entry{key: key, written: key, at: keyAt, owner: m, value: value})
		m.weight += value.weight
	}
	rank := 0
	for i, pair := range merges {
		if i > 0 {
			b.problem(b.at(pair.Key), ruleDuplicateKey, "a mapping has one merge key: write << with a list of aliases")
			continue
		}
		value := b.build(pair.Value, depth+1)
		sources := []*node{value}
		if value.kind == sequence {
			sources = value.items
		}
		for _, source := range sources {
			if source.kind != mapping {
				b.problem(b.at(pair.Key), ruleSyntax, "the merge key << wants a mapping or a list of mappings")
				continue
			}
			rank = m.merge(source, rank)
		}
	}
	b.bound(m)
	return m
}

// merge adds the entries of source below those that m has, and returns the
// lowest rank that is now in use.
func (m *node) merge(source *node, rank int) int {
	lowest := rank
	for _, e := range source.entries {
		e.rank += rank + 1
		e.owner = m
		lowest = max(lowest, e.rank)
		m.entries = append(m.entries, e)
		m.weight += e.value.weight
	}
	return lowest
}

func (n *node) add(item *node) {
	n.items = append(n.items, item)
	n.weight += item.weight
}

// bound stops the build when aliases have made the tree too large to be walked.
func (b *builder) bound(n *node) {
	if n.weight > maxWeight && !b.full {
		b.full = true
		b.problem(n.at, ruleSize, "the file has more than 500000 values, aliases counted as often as they are used")
	}
	if b.full {
		n.entries, n.items, n.weight = nil, nil, 1
	}
}

// key returns the text of a mapping key.
func (b *builder) key(k ast.MapKeyNode) (string, bool) {
	var n ast.Node = k
	for range maxDepth {
		switch inner := n.(type) {
		case *ast.MappingKeyNode:
			n = inner.Value
			continue
		case *ast.AnchorNode:
			n = inner.Value
			continue
		case *ast.TagNode, *ast.AliasNode, *ast.LiteralNode, nil:
		case ast.ScalarNode:
			return inner.GetToken().Value, true
		}
		break
	}
	b.problem(b.at(k), ruleSyntax, "a key must be plain or quoted text")
	return "", false
}

func (b *builder) alias(n *ast.AliasNode, at Position) *node {
	name := ""
	if n.Value != nil {
		name = n.Value.GetToken().Value
	}
	target, ok := b.anchors[name]
	if !ok {
		what := "no anchor " + quote(name)
		if b.hidden {
			what = "no anchor of this name"
		}
		b.problem(at, ruleSyntax, what+" stands above this alias; if no alias is meant, quote the value that begins with *")
		return badAt(at)
	}
	if target.null {
		return &node{null: true, bad: target.bad, at: at, weight: 1} // nulls are placed with their keys, and the key of the anchor is another one
	}
	return target
}

// tag accepts the tags of YAML's own scalars, which change nothing here.
func (b *builder) tag(n *ast.TagNode, at Position, depth int) *node {
	value := b.build(n.Value, depth)
	switch n.GetToken().Value {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!":
	default:
		what := "the YAML tag " + quote(n.GetToken().Value)
		if b.hidden {
			what = "this YAML tag"
		}
		b.problem(at, ruleSyntax, what+" is not supported; leave it out")
	}
	return value
}

func (b *builder) at(n ast.Node) Position {
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return b.place(tk.Position.Line, tk.Position.Column)
	}
	return b.place(1, 1)
}

// mappingStart returns where a mapping begins: at its brace or its first key.
func mappingStart(n *ast.MappingNode) (line, column int) {
	var tk *token.Token
	if n.IsFlowStyle || len(n.Values) == 0 {
		tk = n.GetToken()
	} else {
		tk = n.Values[0].Key.GetToken()
	}
	if tk == nil || tk.Position == nil {
		return 1, 1
	}
	return tk.Position.Line, tk.Position.Column
}

func nullAt(at Position) *node { return &node{null: true, at: at, weight: 1} }

func badAt(at Position) *node { return &node{null: true, bad: true, at: at, weight: 1} }
