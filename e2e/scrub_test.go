package e2e

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scrub replaces what holds the names of machines in a recorded history: identities of
// clients and workers, and the names of sticky task queues.
func scrub(m proto.Message) { scrubFields(m.ProtoReflect()) }

func scrubFields(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Name() == "name" && m.Descriptor().Name() == "TaskQueue" && m.Get(m.Descriptor().Fields().ByName("kind")).Enum() == 2:
			m.Set(fd, protoreflect.ValueOfString("worker:sticky"))
		case fd.Name() == "identity" && fd.Kind() == protoreflect.StringKind:
			m.Set(fd, protoreflect.ValueOfString("worker"))
		case fd.Kind() == protoreflect.MessageKind && !fd.IsList() && !fd.IsMap():
			scrubFields(v.Message())
		}
		return true
	})
}
